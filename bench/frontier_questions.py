#!/usr/bin/env python3
"""Five sweeps beside AIConfigurator's recorded answers and times: CPU of the whole process, and the answer.

    bench/frontier_questions.py PERWATT

The peer's figures were recorded on a 2-core machine: v0.10.0 (its CPU seconds where written down, else wall)
and, where there is one, commit a77804e.
"""
import json
import os
import subprocess
import sys

# model, precision, accelerator, engine, max TPOT; the peer's seconds and its aggregated and disaggregated tok/s/GPU
QUESTIONS = [
    ("qwen3-32b", "fp8", "h200", "trtllm", 14.5, (1223.11, 1335.21), "a77804e, CPU"),
    ("llama-3.1-70b", "fp8", "h200", "trtllm", 46.8, (592.92, 846.86), "v0.10.0, wall"),
    ("deepseek-v3", "fp8", "h200", "trtllm", 14.1, (101.43, 79.69), "a77804e, wall"),
    ("deepseek-v3.1", "fp4", "gb200", "trtllm", 121.9, (997.80, 1343.00), "v0.10.0, wall"),
    ("qwen3-32b", "fp8", "b200", "vllm", 14.4, (None, 341.38), "a77804e, wall"),
]
GOAL = 200


def cpu_seconds(command):
    before = os.times()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    after = os.times()
    return (after.children_user + after.children_system - before.children_user - before.children_system), done.stdout


def rate(found):
    return found["output_tokens_per_s_per_gpu"] if found else None


def text(value):
    return "-" if value is None else f"{value:,.0f}"


def main():
    perwatt = sys.argv[1]
    print("isl 4000, osl 1000, TTFT <= 1 s, TPOT <= 20 ms, 32 GPUs; output tokens/s per GPU (90 % interval)")
    for model, precision, accelerator, engine, peer_seconds, (aggregated, disaggregated), version in QUESTIONS:
        command = [perwatt, "frontier", "--model", model, "--precision", precision, "--accelerator", accelerator,
                   "--engine", engine, "--gpus", "32", "--isl", "4000", "--osl", "1000", "--max-ttft", "1s",
                   "--max-tpot", "20ms", "--json"]
        runs = [cpu_seconds(command) for _ in range(5)]
        seconds = sorted(run[0] for run in runs)[2]
        answer = json.loads(runs[0][1])
        print(f"{model} {precision} {accelerator} {engine}: {seconds * 1e3:.0f} ms CPU, "
              f"{peer_seconds / seconds:.0f}x less than {peer_seconds} s ({version}); goal {GOAL}x")
        for name, peer in (("aggregated", aggregated), ("disaggregated", disaggregated)):
            found = rate(answer[name])
            ours = "-" if found is None else f"{found['value']:,.0f} ({found['ci_low']:,.0f} to {found['ci_high']:,.0f})"
            print(f"    {name}: {ours}; the peer {text(peer)}")


if __name__ == "__main__":
    main()
