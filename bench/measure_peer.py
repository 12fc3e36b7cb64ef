"""The peer of bench/measure_bench.py: a minimal, faithful aiohttp load loop, as Python load generators have it.

One process, one shared session, no connector limit, json.loads for each chunk. Each of the streams sends its next
request when the last one is complete. Prints one line of JSON.

The stand-in stamps each chunk with its clock (CLOCK_MONOTONIC, same machine), so the lag printed here is the time
from the server's send to the parsed chunk: the error that the client adds to what it measures.
"""
import argparse
import asyncio
import json
import resource
import time

import aiohttp


class Tally:
    def __init__(self):
        self.ttft, self.lag, self.chunks, self.tokens, self.done, self.failed = [], [], 0, 0, 0, 0


async def one_request(session, url, payload, tally):
    sent = time.monotonic()
    first = True
    async with session.post(url, json=payload) as response:
        if response.status != 200:
            tally.failed += 1
            return
        async for line in response.content:
            if not line.startswith(b"data: "):
                continue
            at = time.monotonic()
            data = line[6:].strip()
            if data == b"[DONE]":
                tally.done += 1
                break
            chunk = json.loads(data)
            if chunk.get("usage"):
                tally.tokens += chunk["usage"]["completion_tokens"]
            choices = chunk["choices"]
            if not choices or not choices[0]["delta"].get("content"):
                continue
            tally.chunks += 1
            tally.lag.append(at - chunk["standin_sent"])
            if first:
                tally.ttft.append(at - sent)
                first = False


async def one_stream(session, args, stream, stop, tally):
    turn = 0
    while time.monotonic() < stop:
        prompt = f"{stream} {turn} " + "word " * max(1, args.isl - 6)
        payload = {"model": args.model, "messages": [{"role": "user", "content": prompt}], "stream": True,
                   "stream_options": {"include_usage": True}, "max_tokens": args.osl, "ignore_eos": True}
        await one_request(session, args.url + "/v1/chat/completions", payload, tally)
        turn += 1


def quantile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


async def main(args):
    tally = Tally()
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        cpu, begin = time.process_time(), time.monotonic()
        stop = begin + args.duration
        await asyncio.gather(*(one_stream(session, args, i, stop, tally) for i in range(args.concurrency)))
        # Imports and the start of the interpreter are not the load's cost.
        cpu, wall = time.process_time() - cpu, time.monotonic() - begin
    print(json.dumps({"chunks": tally.chunks, "tokens": tally.tokens, "requests": tally.done, "failed": tally.failed,
                      "cpu_seconds": cpu, "wall_seconds": wall,
                      "ttft_p50_seconds": quantile(tally.ttft, 0.5),
                      "lag_p50_seconds": quantile(tally.lag, 0.5), "lag_p99_seconds": quantile(tally.lag, 0.99),
                      "max_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--model", default="standin-model")
    parser.add_argument("--concurrency", type=int, required=True)
    parser.add_argument("--duration", type=float, required=True)
    parser.add_argument("--isl", type=int, default=64)
    parser.add_argument("--osl", type=int, default=64)
    asyncio.run(main(parser.parse_args()))
