"""What the benchmark writes: a page with a verdict to each row, and the figures."""

import os
import platform
from pathlib import Path

import numpy as np

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito's: told apart by everybody
INK = "#444444"
FIGURES = {
    "benchmarks": "Loss against seconds, by optimiser",
    "benchmarks_peers": "Loss against seconds, beside other programs",
    "benchmarks_gpu": "Loss against seconds on a GPU, beside other programs",
    "benchmarks_costs": "What a picture costs: by its size, its steps, its paintings, and frames at once",
}
COLUMNS = {"benchmarks": 4, "benchmarks_peers": 3, "benchmarks_gpu": 3, "benchmarks_costs": 3}


def processor() -> str:
    name = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), name)
        name += ", bfloat16 instructions" if any("avx512_bf16" in line for line in lines) else ""
    return f"{name}, {os.cpu_count()} cores"


def amount(result: dict) -> str:
    if result["measured"] is None:
        return "not measured" if result.get("reached", True) else "never"
    return f"{result['measured']:.3g} {result['unit']}".strip()


def command(row: str) -> str:
    """What measures a row again; a GPU needs a Python with JAX for it."""
    return f"KERAS_BACKEND=jax python tools/bench.py {row}" if row.startswith("gpu") else f"make bench ROWS={row}"


def verdict(result: dict) -> str:
    """One line: whether the bar was met, and what else there is to say."""
    met = {True: "met", False: "**not met**", None: ""}[result["met"]]
    return ", ".join(part for part in (met, result.get("verdict", "")) if part)


def draw(file: Path, panels: dict[str, tuple[list[str], dict[str, list]]], columns: int) -> None:
    """A figure of `{panel: (axes' names, {line: [[x, y], ...]})}`, logarithmic unless the heights are alike.

    A label has one colour in all panels.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

    labels = list(dict.fromkeys(label for _, lines in panels.values() for label in lines))
    colours = {label: PALETTE[i % len(PALETTE)] for i, label in enumerate(labels)}
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(5.2 * min(columns, len(panels)), 3.9 * rows), facecolor="white", layout="constrained")
    for number, (name, (axes, lines)) in enumerate(panels.items(), start=1):
        axis = figure.add_subplot(rows, min(columns, len(panels)), number)
        for label, points in lines.items():
            few = len(points) < 20
            axis.plot(*np.array(points).T, label=label, color=colours[label], lw=1.8, marker="o" if few else None, ms=4)
        axis.set_title(name, fontsize=10, loc="left", color=INK)
        settings, heights = np.concatenate([np.array(points) for points in lines.values()]).T
        axis.set(xlabel=axes[0], ylabel=axes[1], xscale="log")
        if heights.max() > 4 * heights.min():
            axis.set_yscale("log")
            finely = (1, 2, 5) if heights.max() < 200 * heights.min() else (1,)
            axis.yaxis.set_major_locator(LogLocator(subs=finely))
        else:
            axis.set_ylim(0, 1.1 * heights.max())
        if len(set(settings)) < 10:  # a few settings rather than moments: name each
            axis.xaxis.set_major_locator(FixedLocator(sorted(set(settings))))
        for scale in (axis.xaxis, axis.yaxis):
            scale.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            scale.set_minor_locator(NullLocator())
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(color="#e6e6e6", lw=0.8)
        axis.tick_params(colors=INK, labelsize=8)
        axis.legend(frameon=False, fontsize=8)
    figure.savefig(file, dpi=110)


def draw_beside(file: Path, rows: dict[str, list[dict]]) -> None:
    """A figure of the results that have `beside`, our time and a peer's for the same thing, with their commands."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator

    found = [(name, r) for name, results in rows.items() for r in results if "beside" in r]
    figure = Figure(figsize=(8.6, 0.6 + 1.2 * len(found)), facecolor="white", layout="constrained")
    axes = figure.subplots(len(found), 1, squeeze=False)[:, 0]
    for axis, (name, r) in zip(axes, found, strict=True):
        unit, times = r["beside"]["unit"], r["beside"]["times"]
        longest = max(seconds for seconds in times.values() if seconds is not None)
        for place, (program, seconds) in enumerate(times.items()):
            ours = program == "nst"
            axis.barh(place, seconds or 0, color=PALETTE[0] if ours else "#bbbbbb")
            text = "not reached" if seconds is None else f"{float(f'{seconds:.3g}'):g} {unit}"
            axis.text((seconds or 0) + longest / 100, place, text, va="center", fontsize=9, color=INK)
        axis.set(xlim=(0, 1.15 * longest), yticks=range(len(times)), yticklabels=times, ylim=(len(times) - 0.4, -0.6))
        axis.set_title(f"{r['beside']['title']}\n{command(name)}", fontsize=9, loc="left", color=INK)
        axis.spines[:].set_visible(False)
        axis.xaxis.set_major_locator(NullLocator())
        axis.tick_params(length=0, labelsize=9, colors=INK)
    machines = {name.startswith("gpu"): r["machine"] for name, r in found}
    here = [machines[False]] if False in machines else []
    there = f"Rows about a GPU: one {machines[True]}" if True in machines else "One H100: not measured"
    figure.supxlabel(". ".join([*here, there]) + ".", fontsize=8, color=INK)
    figure.savefig(file, dpi=110)


def write_page(rows: dict[str, list[dict]], folder: Path) -> list[str]:
    """Write benchmarks.md and the figures into `folder`; their names."""
    figures: dict[str, dict] = {}
    for results in rows.values():
        for r in results:
            for name, lines in r.get("curves", {}).items():
                figures.setdefault(r.get("figure", "benchmarks"), {})[name] = r.get("axes", ["seconds", "loss"]), lines
    lines = [
        "# Benchmarks",
        "",
        "Made by `make bench` (`tools/bench.py`); the raw numbers are in `benchmarks.json`. The details below name the",
        "machine of each row. Ratios are taken within one run, one after the other. The last column measures a row again.",
        "A bar is what a row was to stay below before it was built, and the verdict whether it does; x stands for a ratio.",
        "Rows that VGG16 judges need its weights, by `nst fetch vgg16`; trainings, photographs: a folder in `$NST_PHOTOS`.",
        "",
        "| what | measured | bar | verdict | again with |",
        "|---|---|---|---|---|",
    ]
    notes = []
    for name, results in rows.items():
        for r in results:
            bar = "" if r["bar"] is None else f"{r['bar']:.3g} {r['unit']}"
            lines.append(f"| {r['what']} | {amount(r)} | {bar} | {verdict(r)} | `{command(name)}` |")
            detail = f"{r['detail']}. " if r["detail"] else ""
            notes.append(f"- {r['what']}: {detail}{r['machine']}, {r['date']}.")
    for name, panels in figures.items():
        draw(folder / f"{name}.png", panels, COLUMNS[name])
        lines += ["", f"![{FIGURES[name]}]({name}.png)"]
    beside = any("beside" in r for results in rows.values() for r in results)
    if beside:
        draw_beside(folder / "benchmarks_beside.png", rows)
        lines += ["", "![Our times beside other programs' for the same thing](benchmarks_beside.png)"]
    lines += ["", "## Details", "", *notes, ""]
    remarks = folder / "benchmark_remarks.md"  # written by hand: what was tried, and why a bar is not met
    if remarks.exists():
        lines += [remarks.read_text()]
    (folder / "benchmarks.md").write_text("\n".join(lines))
    return ["benchmarks.md", *(f"{name}.png" for name in [*figures, *["benchmarks_beside"] * beside])]
