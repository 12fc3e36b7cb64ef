"""What `VERB --help` costs beside starting any process: median of interleaved runs, minus /bin/true."""
import statistics
import subprocess
import sys
import time

RUNS = 41
VERBS = ["plan", "frontier", "catalog", "import"]


def seconds(command):
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def main():
    perwatt = sys.argv[1]
    for verb in VERBS:
        ours, bare = [], []
        for _ in range(RUNS):
            ours.append(seconds([perwatt, verb, "--help"]))
            bare.append(seconds(["/bin/true"]))
        extra = statistics.median(ours) - statistics.median(bare)
        print(f"{verb + ' --help':<18} minus /bin/true {extra * 1e3:6.2f} ms "
              f"({statistics.median(ours) / statistics.median(bare):.2f} x /bin/true)")


main()
