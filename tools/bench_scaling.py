"""Measure how a training scales over devices that the processor pretends to be; write the table in docs/scaling.md.

    python tools/bench_scaling.py .venv-engines/bin/python     (some minutes on two cores; the environment needs JAX)
    NST_BENCH_QUICK=out/bench python tools/bench_scaling.py .venv-engines/bin/python     a try, which writes there

Every device has one core, as long as there are cores: two devices on two cores can be twice as fast as one, and four cannot.
What is measured is the price of sharing a batch, of adding up gradients, and of doing so across processes; not a GPU's speed.
"""

import datetime
import json
import os
import shutil
import socket
import subprocess
import sys
import time

from bench_common import FOLDER, QUICK, ROOT
from bench_page import processor

CORES = os.cpu_count() or 1
RUNS = ((1, 1), (1, 2), (1, 4), (2, 1))  # processes, devices of each
BATCH, EPOCHS = (4, 3) if QUICK else (8, 5)
BEGIN, END = "<!-- the table: made by tools/bench_scaling.py -->\n", "<!-- the end of the table -->\n"


def train() -> float:
    """Photographs per second, of all workers together, after the first epoch, in which JAX compiles."""
    from nst_lib.fast.devices import joined, plan_meeting

    ends: list[float] = []
    with joined(plan_meeting(None, None, None)):
        from nst_lib.engine import start_engine

        start_engine()
        from nst_lib.fast import training
        from nst_lib.images import load_image

        if QUICK:
            training.EPOCH = 2
        painting = load_image(ROOT / "data/style/hokusai_great_wave.jpg")
        training.train({"wave": painting}, ROOT / "data/content", steps=EPOCHS * training.EPOCH, batch=BATCH,
                       progress=False, devices="all", should_stop=lambda: ends.append(time.perf_counter()))  # fmt: skip
    return (EPOCHS - 1) * training.EPOCH * BATCH / (ends[-1] - ends[0])


def run(python: str, processes: int, devices: int) -> float:
    """`train` in `processes` on this machine; the first one's rate."""
    environment = os.environ | {
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
    }
    if processes > 1:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        environment |= {"KERAS_DISTRIBUTION_JOB_ADDRESSES": address, "KERAS_DISTRIBUTION_NUM_PROCESSES": str(processes)}
    workers = []
    for number in range(processes):
        cores = {(number * devices + device) % CORES for device in range(devices)}
        own = environment | ({"KERAS_DISTRIBUTION_PROCESS_ID": str(number)} if processes > 1 else {})
        command = [python, __file__, "--train", *map(str, cores)]
        workers.append(subprocess.Popen(command, env=own, stdout=subprocess.PIPE, text=True))
    outputs = [worker.communicate()[0] for worker in workers]
    if any(worker.returncode for worker in workers):
        sys.exit(f"a worker ended with {[worker.returncode for worker in workers]}")
    return float(outputs[0].split("RATE ")[1])


def main() -> None:
    if sys.argv[1] == "--train":
        os.sched_setaffinity(0, map(int, sys.argv[2:]))  # Linux only
        print("RATE", train())
        return
    rates = {}
    for processes, devices in RUNS:
        rates[processes, devices] = run(sys.argv[1], processes, devices)
        print(f"{processes} x {devices}: {rates[processes, devices]:.1f} photographs a second", flush=True)
    one = rates[1, 1]
    lines = ["| processes | devices of each | photographs a second | over one device |", "|---|---|---|---|"]
    lines += [f"| {p} | {d} | {rate:.1f} | {rate / one:.2f} x |" for (p, d), rate in rates.items()]
    lines += [
        "",
        f"Batches of {BATCH}, pocket VGG, one core to a device, of {CORES}. {processor()}, {datetime.date.today()}.",
    ]
    page = FOLDER / "scaling.md"
    if QUICK:
        FOLDER.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "docs/scaling.md", page)
    before, rest = page.read_text().split(BEGIN)
    page.write_text(before + BEGIN + "\n" + "\n".join(lines) + "\n\n" + END + rest.split(END)[1])
    numbers = [{"processes": p, "devices": d, "photographs_per_second": rate} for (p, d), rate in rates.items()]
    (FOLDER / "scaling.json").write_text(json.dumps(numbers, indent=1) + "\n")
    print(f"Written: {page}")


if __name__ == "__main__":
    main()
