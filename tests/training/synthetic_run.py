"""Simulates pipeline parallel training on whole microseconds and writes what a profiler and a power
logger would have written of it. Shares nothing with the program under test; the field names are
those of Kineto's output (pytorch/kineto, libkineto/src/output_json.cpp)."""
import gzip
import json
import random
import sys
from dataclasses import dataclass, field
from pathlib import Path

COMPUTE_STREAM, TENSOR_STREAM, PIPELINE_STREAM, DATA_STREAM = 7, 20, 24, 28


@dataclass
class Event:
    rank: int
    begin: int
    end: int
    kind: str           # compute, copy, tensor, pipeline, data
    name: str
    stream: int
    ready: int = None   # of communication: when the last partner came
    before: "Event" = None   # what its begin waited for, along the critical path
    before_kind: str = "gap"
    operation: tuple = None


@dataclass
class Operation:
    rank: int
    stage: int
    instruction: str
    microbatch: int
    iteration: int
    begin: int = None
    end: int = None
    first: Event = None
    last: Event = None
    events: list = field(default_factory=list)


def one_forward_one_backward(stage, stages, microbatches):
    ahead = min(stages - stage - 1, microbatches)
    order = [("forward", m) for m in range(ahead)]
    for m in range(microbatches - ahead):
        order += [("forward", ahead + m), ("backward", m)]
    return order + [("backward", m) for m in range(microbatches - ahead, microbatches)]


def gpipe(stage, stages, microbatches):
    return [("forward", m) for m in range(microbatches)] + [("backward", m) for m in range(microbatches)]


class Run:
    """Ranks count tensor fastest, then data, then stage. `work(rank, stage, instruction)` gives the
    microseconds of compute before and after the tensor parallel collective."""

    def __init__(self, stages, tensor, data, microbatches, iterations, work, order=one_forward_one_backward,
                 collective=0, gradient=0, optimizer=0, transfer=0, pause=0, hidden=0, start=0):
        self.stages, self.tensor, self.data = stages, tensor, data
        self.microbatches, self.iterations = microbatches, iterations
        self.work, self.order = work, order
        self.collective, self.gradient, self.optimizer = collective, gradient, optimizer
        self.transfer, self.pause, self.hidden = transfer, pause, hidden
        self.ranks = stages * tensor * data
        self.events = [[] for _ in range(self.ranks)]
        self.operations = [[] for _ in range(self.ranks)]
        self.steps = []           # (begin, end) of each iteration over all ranks
        self.at = [start] * self.ranks
        self.previous = [None] * self.ranks
        for iteration in range(iterations):
            self._iterate(iteration)

    def rank(self, stage, data, tensor):
        return tensor + self.tensor * (data + self.data * stage)

    def place(self, rank):
        return rank // (self.tensor * self.data), rank // self.tensor % self.data, rank % self.tensor

    def _add(self, event):
        self.events[event.rank].append(event)
        return event

    def _iterate(self, iteration):
        begin = max(self.at) + (self.pause if iteration else 0)
        self.at = [begin] * self.ranks
        self.previous = [None] * self.ranks
        self.done = {}
        for data in range(self.data):
            queues = [list(self.order(s, self.stages, self.microbatches)) for s in range(self.stages)]
            while any(queues):
                for stage, queue in enumerate(queues):
                    while queue and self._is_ready(stage, data, queue[0]):
                        self._operate(iteration, stage, data, *queue.pop(0))
        self._finish(iteration)
        self.steps.append((begin, max(self.at)))

    def _input(self, stage, data, instruction, microbatch):
        other = stage - 1 if instruction == "forward" else stage + 1
        return None if not 0 <= other < self.stages else (other, data, instruction, microbatch)

    def _is_ready(self, stage, data, entry):
        needed = self._input(stage, data, *entry)
        return needed is None or needed in self.done

    def _operate(self, iteration, stage, data, instruction, microbatch):
        ranks = [self.rank(stage, data, t) for t in range(self.tensor)]
        needed = self._input(stage, data, instruction, microbatch)
        operations, firsts = [], []
        for t, rank in enumerate(ranks):
            operation = Operation(rank, stage, instruction, microbatch, iteration)
            source = self.done[needed][t] if needed else None
            begin = max(self.at[rank], source.end + self.transfer if source else 0)
            if begin > self.at[rank] and source:
                self._add(Event(rank, self.at[rank], begin, "pipeline", "ncclDevKernel_SendRecv(ncclDevKernelArgs)",
                                PIPELINE_STREAM, ready=source.end))
            before, kind = self.previous[rank], "gap"
            if source and source.end > self.at[rank]:
                before, kind = source.last, "pipeline"
            length = self.work(rank, stage, instruction)[0]
            first = self._add(Event(rank, begin, begin + length, "compute", f"gemm_{instruction}_a", COMPUTE_STREAM,
                                    before=before, before_kind=kind))
            if self.hidden and length > self.hidden + 2:
                self._add(Event(rank, begin + 1, begin + 1 + self.hidden, "data", "ncclDevKernel_ReduceScatter",
                                DATA_STREAM, ready=begin + 1))
            operation.begin, operation.first = begin, first
            operation.events.append(first)
            operations.append(operation)
            firsts.append(first)
        lasts = self._collect(ranks, firsts, "tensor", TENSOR_STREAM, self.collective, "ncclDevKernel_AllReduce_Sum_bf16")
        for operation, before in zip(operations, lasts):
            length = self.work(operation.rank, stage, instruction)[1]
            last = self._add(Event(operation.rank, before.end, before.end + length, "compute",
                                   f"gemm_{instruction}_b", COMPUTE_STREAM, before=before))
            operation.events.append(last)
            operation.end, operation.last = last.end, last
            self.at[operation.rank], self.previous[operation.rank] = last.end, last
            self.operations[operation.rank].append(operation)
        self.done[(stage, data, instruction, microbatch)] = operations

    def _collect(self, ranks, befores, kind, stream, length, name):
        """All ranks meet; the one that comes last decides."""
        if length == 0 or len(ranks) < 2:
            return befores
        latest = max(befores, key=lambda event: event.end)
        return [self._add(Event(rank, before.end, latest.end + length, kind, name, stream, ready=latest.end, before=latest))
                for rank, before in zip(ranks, befores)]

    def _finish(self, iteration):
        for stage in range(self.stages):
            for t in range(self.tensor):
                ranks = [self.rank(stage, d, t) for d in range(self.data)]
                last = self._collect(ranks, [self.previous[r] for r in ranks], "data", DATA_STREAM, self.gradient,
                                     "ncclDevKernel_AllReduce_Sum_f32")
                for rank, event in zip(ranks, last):
                    self.previous[rank] = event
                    if self.optimizer:
                        copy = self._add(Event(rank, event.end, event.end + 3, "copy", "Memcpy DtoD", COMPUTE_STREAM,
                                               before=event))
                        self.previous[rank] = self._add(Event(rank, copy.end, copy.end + self.optimizer, "compute",
                                                              "multi_tensor_adam", COMPUTE_STREAM, before=copy))
                    self.at[rank] = self.previous[rank].end

    # What the profiler writes.

    def groups(self, rank):
        stage, data, tensor = self.place(rank)
        return {"tensor": ("1", "TENSOR_MODEL_PARALLEL_GROUP", [self.rank(stage, data, t) for t in range(self.tensor)]),
                "data": ("2", "DATA_PARALLEL_GROUP", [self.rank(stage, d, tensor) for d in range(self.data)]),
                "pipeline": ("3", "PIPELINE_MODEL_PARALLEL_GROUP",
                             [self.rank(s, data, tensor) for s in range(self.stages)])}

    def trace(self, rank, base_ns, annotate="kineto", describe=True, absolute=False, numbered=True):
        """The Chrome trace of a rank as a Python object. Events stand in an order that is not that of time.

        kineto: as PyTorch writes it. Annotations on the CPU; those on the GPU one per stream, with an external id
        and no stream but the tid, over the kernels that the annotating thread launched, which the kernels of a
        backward behind its first are not: autograd has its own thread. A memory set on device 0 by the way.
        cpu: without those on the GPU. gpu: without the CPU, whole annotations."""
        groups = self.groups(rank)
        offset = base_ns // 1000 if absolute else 0

        def complete(category, name, begin, end, pid, tid, **args):
            return {"ph": "X", "cat": category, "name": name, "pid": pid, "tid": tid, "ts": begin + offset,
                    "dur": end - begin, "args": args}

        events, correlation = [], 100
        by_autograd = set()
        if annotate != "gpu":
            by_autograd = {id(e) for o in self.operations[rank] if o.instruction == "backward" for e in o.events[1:]}
        events.append({"ph": "M", "name": "process_name", "ts": offset, "pid": rank, "tid": 0, "args": {"name": "python"}})
        for event in self.events[rank]:
            correlation += 1
            launch = max(event.begin - 1, 0)
            args = {"External id": correlation, "device": rank % 8, "stream": event.stream, "correlation": correlation}
            if event.kind in groups:
                name, description, ranks = groups[event.kind]
                args["Collective name"] = "send" if event.kind == "pipeline" else "allreduce"
                if event.name.endswith("ReduceScatter"):  # with ranks that are not traced
                    name, description, ranks = "9", "DATA_PARALLEL_GROUP_WITH_CP", [rank, rank + 1000]
                args |= {"Process Group Name": name, "Process Group Ranks": json.dumps(ranks), "dtype": "BFloat16"}
                if describe:
                    args["Process Group Description"] = description
            category = "gpu_memcpy" if event.kind == "copy" else "kernel"
            events.append(complete(category, event.name, event.begin, event.end, rank % 8, event.stream, **args))
            if annotate != "gpu":
                thread = 4712 if id(event) in by_autograd else 4711
                events.append(complete("cuda_runtime", "cudaLaunchKernel", launch, launch + 1, 4711, thread,
                                       correlation=correlation, cbid=211))
            events.append({"ph": "s", "id": correlation, "pid": 4711, "tid": 4711, "ts": launch + offset, "cat": "ac2g",
                           "name": "ac2g"})
            events.append(complete("cpu_op", 'aten::mm "x" [{', launch, launch + 2, 4711, 4711,
                                   **{"Input Dims": [[2, 3], [3, 4]]}))
        def annotate_gpu(name, pieces):
            """One annotation for each stream, over those of `pieces` that the annotating thread launched."""
            nonlocal correlation
            correlation += 1
            for stream in sorted({e.stream for e in pieces}):
                own = [e for e in pieces if e.stream == stream and id(e) not in by_autograd]
                if own:
                    events.append(complete("gpu_user_annotation", name, min(e.begin for e in own),
                                           max(e.end for e in own), rank % 8, stream, **{"External id": correlation}))

        for operation in self.operations[rank]:
            name = f"{operation.instruction.title()} {operation.microbatch}" if numbered else operation.instruction
            if annotate != "cpu":
                annotate_gpu(name, operation.events)
            if annotate != "gpu":
                # The launch is a microsecond early: the annotation on the CPU begins before it.
                events.append(complete("user_annotation", name, operation.begin - 1, operation.events[-1].begin - 1,
                                       4711, 4711))
        for number, (begin, end) in enumerate(self.steps):
            own = [e for e in self.events[rank] if begin <= e.begin < end]
            name = f"ProfilerStep#{number + 3}" if numbered else "train_step"
            if annotate != "cpu":
                annotate_gpu(name, own)
            if annotate != "gpu":
                first, last = min(e.begin for e in own), max(e.end for e in own)
                events.append(complete("user_annotation", name, first - 1, last - 2, 4711, 4711))
        if annotate == "kineto" and rank % 8:
            at = self.steps[0][0]
            events.append(complete("gpu_memset", "Memset (Device)", at, at + 1, 0, COMPUTE_STREAM, device=0,
                                   stream=COMPUTE_STREAM))
        random.Random(rank).shuffle(events)
        config = [{"pg_name": n, "pg_desc": d, "pg_size": len(r), "ranks": r} for n, d, r in groups.values()]
        return {"schemaVersion": 1, "deviceProperties": [{"id": 0, "name": "NVIDIA A100-SXM4-80GB"}],
                "distributedInfo": {"backend": "nccl", "rank": rank, "world_size": self.ranks,
                                    "pg_count": 3, "pg_config": config if describe else []},
                "displayTimeUnit": "ms", **({} if absolute else {"baseTimeNanoseconds": base_ns}),
                "traceEvents": events, "traceName": "trace.json"}

    def write(self, folder, base_ns, packed=False, **how):
        paths = []
        for rank in range(self.ranks):
            trace = self.trace(rank, base_ns, **how)
            events = ",\n".join(json.dumps(event) for event in trace.pop("traceEvents"))
            text = (json.dumps(trace, indent=1)[:-2] + ',\n "traceEvents": [\n' + events + "\n]}\n").encode()
            path = folder / (f"rank{rank}.json" + (".gz" if packed else ""))
            path.write_bytes(gzip.compress(text, mtime=0) if packed else text)
            paths.append(path)
        return paths

    # What it draws.

    def drawing(self, rank):
        """(begin, end, phase) of what is no waiting, in order of time."""
        inside = {id(e) for o in self.operations[rank] for e in o.events}
        other = [(e.begin, e.end, "other") for e in self.events[rank]
                 if id(e) not in inside and e.kind in ("compute", "copy")]
        return sorted([(o.begin, o.end, o.instruction) for o in self.operations[rank]] + other)

    def power_csv(self, base_ns, watts, period_us, noise_watts, seed, counter=False):
        """`watts(rank, instruction, "other" (behind the operations) or "waiting")`. Instantaneous readings at uneven
        times, or an energy counter."""
        draw = random.Random(seed)
        lines = ["unix_time_s,meter,scope,power_watts,counter_joules"]
        end = self.steps[-1][1]
        for rank in range(self.ranks):
            pieces, at = [], -400_000
            for begin, end_of, what in self.drawing(rank):
                pieces.append((at, begin, watts(rank, "waiting")))
                pieces.append((begin, end_of, watts(rank, what)))
                at = end_of
            pieces.append((at, end + 400_000, watts(rank, "waiting")))
            energy, i, time, done = 0.0, 0, -300_000 + draw.randrange(period_us), -400_000
            while time < end + 300_000:
                while pieces[i][1] <= time:
                    energy += (pieces[i][1] - max(pieces[i][0], done)) * pieces[i][2] / 1e6
                    i += 1
                energy += (time - max(pieces[i][0], done)) * pieces[i][2] / 1e6
                done = time
                power = "" if counter else f"{pieces[i][2] + draw.gauss(0, noise_watts):.3f}"
                unix = f"{base_ns // 10**9 + (time + base_ns % 10**9 // 1000) / 1e6:.6f}"
                lines.append(f"{unix},rank{rank},gpu,{power},{f'{energy:.3f}' if counter else ''}")
                time += period_us + draw.randrange(-period_us // 4, period_us // 4 + 1)
        return "\n".join(lines) + "\n"


def sample():
    """The traces in tests/data/training/traces: two stages, four microbatches, three iterations."""
    milliseconds = {(0, "forward"): 20, (0, "backward"): 41, (1, "forward"): 23, (1, "backward"): 44}

    def work(rank, stage, instruction):
        time = 1000 * milliseconds[(stage, instruction)]
        return time // 2, time - time // 2

    return Run(2, 1, 1, 4, 3, work, transfer=400, optimizer=9000, pause=6000, start=1000)


def sample_watts(rank, instruction):
    return {"forward": 471.0, "backward": 483.0, "other": 390.0, "waiting": 84.0}[instruction] + 3 * rank


if __name__ == "__main__":
    into = Path(sys.argv[1])
    sample().write(into, 1_767_189_312_000_000_000)
    (into / "power.csv").write_text(sample().power_csv(1_767_189_312_000_000_000, sample_watts, 10_000, 12, 5))
