"""Fast style transfer (Johnson et al. 2016): a network trained once repaints any picture in one pass.

`network.py` the network, `training.py` how it learns, `styles.py` trained styles and running them, `video.py` films.
"""
