"""Gatys' method as `nst_lib` does it."""

from recorder import Recorder, read_task

import nst_lib

content, style, _, options = read_task()
if options.settings.get("backbone") == "vgg16":
    options.settings["weights"] = options.weights
painting = nst_lib.Painting(content, style, size=max(content.shape), steps=options.steps, **options.settings)
recorder = Recorder(options.out)
for state in nst_lib.paint(painting):
    if recorder.due(state.step) or painting.finished:
        recorder.keep(state.step, state.loss, painting.picture)
        recorder.kept[-1] = (state.seconds, *recorder.kept[-1][1:])  # without compiling, which the painting knows best
recorder.write()
