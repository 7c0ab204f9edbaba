"""Making a trained network smaller and faster; each module is one way.

``fold``       batch normalisation folded into the convolution before it
``quantise``   weights and activations as 8-bit integers
``prune``      weights set to zero, channels removed
``factorise``  one convolution replaced by two cheaper ones
``distil``     a small network learns the answers of a large one
``runtime``    the same network out of PyTorch: ONNX files and ONNX Runtime
``size``       bytes on disk
``parallel``   several workers at a network; ``workers``: what they share
``variants``   compressed networks by name
"""
