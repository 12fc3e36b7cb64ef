"""tests/data/streams/expected.json is what Python's own HTTP reader finds in the fixtures.

    /usr/bin/python3 tests/standin/check_fixtures.py tests/data/streams
"""
import http.client
import io
import json
import pathlib
import sys


class Bytes:
    """What http.client takes for a socket."""

    def __init__(self, data):
        self.data = data

    def makefile(self, *_):
        return io.BytesIO(self.data)


def read(data):
    answer = http.client.HTTPResponse(Bytes(data))
    answer.begin()
    try:
        body, whole = answer.read(), True
    except http.client.IncompleteRead as cut:
        body, whole = cut.partial, False
    return answer, body, whole


def events(body):
    """Data of whole events: lines of data joined, comments and other fields skipped."""
    lines = body.decode("utf-8-sig").replace("\r\n", "\n").split("\n")[:-1]
    data = []
    for line in lines:
        if line == "":
            if data:
                yield "\n".join(data)
            data = []
        elif line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))


def findings(data):
    answer, body, whole = read(data)
    found = {"status": answer.status, "end": "whole" if whole else "truncated", "done": False, "text": "",
             "content_chunks": 0, "output_tokens": None, "input_tokens": None, "cached_tokens": None,
             "finish_reason": None}
    stream = answer.getheader("content-type").startswith("text/event-stream")
    for text in events(body) if stream else [body.decode()]:
        if text == "[DONE]":
            found["done"] = True
            continue
        chunk = json.loads(text)
        if "error" in chunk:
            found["end"] = "error" if stream else found["end"]
            continue
        for choice in chunk["choices"]:
            found["finish_reason"] = choice["finish_reason"] or found["finish_reason"]
            part = choice.get("delta") or choice.get("message") or {"content": choice.get("text")}
            said = "".join(part.get(key) or "" for key in ("reasoning_content", "reasoning", "content"))
            found["text"] += said
            found["content_chunks"] += bool(said) and stream
        if chunk.get("usage"):
            found["output_tokens"] = chunk["usage"]["completion_tokens"]
            found["input_tokens"] = chunk["usage"]["prompt_tokens"]
            found["cached_tokens"] = (chunk["usage"].get("prompt_tokens_details") or {}).get("cached_tokens")
    if stream and found["end"] == "whole" and not found["done"] and not found["finish_reason"]:
        found["end"] = "truncated"
    return found


def main():
    folder = pathlib.Path(sys.argv[1])
    expected = json.loads((folder / "expected.json").read_text())
    names = sorted(path.name for path in folder.glob("*.http"))
    assert names == sorted(expected), "expected.json and the files differ"
    notes = (folder / "README.md").read_text()
    wrong = 0
    for name in names:
        assert f"`{name}`" in notes, f"README.md says nothing of {name}"
        found = findings((folder / name).read_bytes())
        for key, value in expected[name].items():
            if found[key] != value:
                wrong += 1
                print(f"{name}: {key} is {found[key]!r}, expected.json says {value!r}")
    sys.exit(1 if wrong else 0)


main()
