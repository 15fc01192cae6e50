"""Gatys' method as `nst_lib` does it: once for each of the settings, a list, and into a file each."""

from recorder import Recorder, read_task

import nst_lib
from nst_lib import autodiff

content, style, _, options = read_task()
for number, settings in enumerate(options.settings):
    if settings.get("backbone") == "vgg16":
        settings["weights"] = options.weights
    painting = nst_lib.Painting(content, style, size=max(content.shape), **settings)
    recorder = Recorder(f"{options.out}.{number}.npz")
    for state in nst_lib.paint(painting, every=autodiff.steps_between_looks()):
        if state.size == content.shape[:2] and (recorder.due(state.step) or painting.finished):
            recorder.keep(state.step, state.loss, painting.picture)
            # Without compiling, which the painting knows best.
            recorder.kept[-1] = (state.seconds, *recorder.kept[-1][1:])
    recorder.write()
