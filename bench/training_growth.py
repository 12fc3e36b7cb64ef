#!/usr/bin/env python3
"""How CPU and memory of the whole time-energy frontier grow with the pipeline, as CSV and as a plot.

    /usr/bin/python3 bench/training_growth.py build/release/bin/training_bench --svg growth.svg [--csv growth.csv]

Each size is a process of its own: CPU is the best of 3 frontiers inside it, on its own clock; memory is the peak
resident set of the process (VmHWM), program and profile included. Lines are least squares: of logarithms (CPU over
operations), of values (memory over arcs: operations and dependencies). Nothing is asserted.
"""
import argparse
import csv
import math
import subprocess

SIZES = [(8, 12), (8, 24), (8, 48), (8, 96), (8, 192), (8, 512), (16, 128), (16, 256), (16, 512)]
GOAL = 1.2  # exponent of CPU in operations
COLUMNS = ["stages", "microbatches", "operations", "arcs", "breakpoints", "cpu_seconds", "peak_bytes"]
WIDTH, HEIGHT, LEFT, TOP, PLOT_W, PLOT_H = 1040, 420, 80, 50, 400, 300
INK, SOFT, BLUE, ORANGE = "#111820", "#5a6672", "#1f6fb4", "#d9730d"


def measure(binary, stages, microbatches):
    row = subprocess.run([binary, str(stages), str(microbatches)], check=True, capture_output=True, text=True).stdout
    operations, dependencies, breakpoints, cpu, peak = row.split(",")
    return {"stages": stages, "microbatches": microbatches, "operations": int(operations),
            "arcs": int(operations) + int(dependencies), "breakpoints": int(breakpoints), "cpu_seconds": float(cpu),
            "peak_bytes": int(peak)}


def line(points):
    """Slope and intercept by least squares, and the share of the variance they explain."""
    n, xs, ys = len(points), [x for x, _ in points], [y for _, y in points]
    mx, my = sum(xs) / n, sum(ys) / n
    sxy = sum((x - mx) * (y - my) for x, y in points)
    slope = sxy / sum((x - mx) ** 2 for x in xs)
    return slope, my - slope * mx, slope * sxy / sum((y - my) ** 2 for y in ys)


class Panel:
    """Axes from the ticks' first to their last; `scale` is math.log10 or the value itself."""

    def __init__(self, left, title, x_title, y_title, x_ticks, y_ticks, scale=lambda value: value):
        self.left, self.scale = left, scale
        self.x_range, self.y_range = (x_ticks[0], x_ticks[-1]), (y_ticks[0], y_ticks[-1])
        self.parts = [text(left, TOP - 22, title, size=14, weight=600)]
        for value in x_ticks:
            x = self.x(value)
            self.parts += [stroke((x, TOP), (x, TOP + PLOT_H), "#e6eaee"),
                           text(x, TOP + PLOT_H + 18, f"{value:,.12g}", anchor="middle")]
        for value in y_ticks:
            y = self.y(value)
            self.parts += [stroke((left, y), (left + PLOT_W, y), "#e6eaee"),
                           text(left - 8, y + 4, f"{value:,.12g}", anchor="end")]
        self.parts += [text(left + PLOT_W / 2, TOP + PLOT_H + 40, x_title, anchor="middle"),
                       text(left, TOP - 6, y_title)]

    def _share(self, value, ends):
        low, high = map(self.scale, ends)
        return (self.scale(value) - low) / (high - low)

    def x(self, value):
        return self.left + PLOT_W * self._share(value, self.x_range)

    def y(self, value):
        return TOP + PLOT_H * (1 - self._share(value, self.y_range))

    def draw(self, function, begin, end, colour, dash=""):
        self.parts.append(stroke(*((self.x(at), self.y(function(at))) for at in (begin, end)), colour, dash, 1.5))

    def dot(self, x, y, title):
        self.parts.append(f'<circle cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="4.5" fill="{BLUE}">'
                          f"<title>{title}</title></circle>")

    def legend(self, row, colour, words, dash=""):
        y = TOP + 18 + 18 * row
        self.parts += [stroke((self.left + 12, y - 4), (self.left + 40, y - 4), colour, dash, 1.5),
                       text(self.left + 46, y, words)]


def text(x, y, words, anchor="start", size=12, weight=400):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" '
            f'fill="{INK if weight > 400 else SOFT}">{words}</text>')


def stroke(begin, end, colour, dash="", width=1):
    return (f'<line x1="{begin[0]:.1f}" y1="{begin[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}" stroke="{colour}" '
            f'stroke-width="{width}" stroke-dasharray="{dash}"/>')


def decades(values):
    return [10.0 ** k for k in range(math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))) + 1)]


def round_ticks(most):
    """From 0 past `most` in five to ten round steps."""
    step = 10.0 ** math.floor(math.log10(most / 5))
    step *= next(k for k in (1, 2, 5, 10) if most / (k * step) <= 8)
    return [step * k for k in range(math.ceil(most / step) + 1)]


def cpu_panel(rows):
    operations, cpu = [row["operations"] for row in rows], [row["cpu_seconds"] for row in rows]
    slope, intercept, _ = line([(math.log(x), math.log(y)) for x, y in zip(operations, cpu)])
    panel = Panel(LEFT, "CPU of every breakpoint", "operations (log)", "CPU s (log)", decades(operations), decades(cpu),
                  math.log10)
    panel.draw(lambda x: math.exp(intercept) * x ** slope, operations[0], operations[-1], BLUE)
    panel.draw(lambda x: cpu[0] * (x / operations[0]) ** GOAL, operations[0], operations[-1], ORANGE, "5 4")
    panel.legend(0, BLUE, f"operations to the power {slope:.3f}, least squares")
    panel.legend(1, ORANGE, f"goal: to the power {GOAL}, from the first", "5 4")
    for row in rows:
        panel.dot(row["operations"], row["cpu_seconds"],
                  f"{row['stages']} x {row['microbatches']}: {row['operations']:,} operations, "
                  f"{row['breakpoints']:,} breakpoints, {row['cpu_seconds']:.4g} s")
    ends = math.log(cpu[-1] / cpu[0]) / math.log(operations[-1] / operations[0])
    return panel, f"CPU: operations to the power {slope:.3f} by least squares, {ends:.3f} from the first to the last"


def memory_panel(rows):
    points = [(row["arcs"], row["peak_bytes"] / 1e6) for row in rows]
    slope, intercept, explained = line(points)
    panel = Panel(LEFT + 520, "Peak memory of the process", "arcs: operations and dependencies", "MB",
                  round_ticks(points[-1][0]), round_ticks(max(y for _, y in points)))
    panel.draw(lambda x: intercept + slope * x, points[0][0], points[-1][0], BLUE)
    panel.legend(0, BLUE, f"{intercept:.3g} MB and {slope * 1e6:.0f} bytes per arc, least squares")
    for row, (x, y) in zip(rows, points):
        panel.dot(x, y, f"{row['stages']} x {row['microbatches']}: {x:,} arcs, {y:.3g} MB")
    return panel, (f"memory: {intercept:.3g} MB and {slope * 1e6:.0f} bytes per arc; a straight line explains "
                   f"{100 * explained:.2f} % of the variance")


def tell(panels, path):
    """Draws the panels into the SVG at `path` and prints their words."""
    with open(path, "w") as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
                   f'font-family="sans-serif">\n<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>\n')
        for panel, _ in panels:
            file.write("\n".join(panel.parts) + "\n")
        file.write("</svg>\n")
    print("\n".join(words for _, words in panels))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", help="training_bench")
    parser.add_argument("--svg", required=True)
    parser.add_argument("--csv")
    options = parser.parse_args()
    rows = sorted((measure(options.binary, *size) for size in SIZES), key=lambda row: row["operations"])
    if options.csv:
        with open(options.csv, "w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
    panels = [cpu_panel(rows), memory_panel(rows)]
    tell(panels, options.svg)


if __name__ == "__main__":
    main()
