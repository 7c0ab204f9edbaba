"""Backpropagation by hand: NumPy layers, losses, optimisers and gradient checks."""

from pixgrad.backprop.attention import Attention
from pixgrad.backprop.containers import Residual, Sequential, load, save
from pixgrad.backprop.convolution import AvgPool2d, Conv2d, MaxPool2d
from pixgrad.backprop.finite import NonFiniteError, raise_first_nonfinite
from pixgrad.backprop.fit import keep_freed_memory, predict, train_step
from pixgrad.backprop.gradcheck import gradcheck, numerical_gradient
from pixgrad.backprop.inputs import ShapeError
from pixgrad.backprop.layers import Dropout, Layer, Linear, ReLU, Sigmoid, Softmax, Tanh
from pixgrad.backprop.losses import MSE, CrossEntropy
from pixgrad.backprop.naive import naive_backward, naive_forward
from pixgrad.backprop.networks import lenet, sigmoid_net
from pixgrad.backprop.normalisation import BatchNorm2d
from pixgrad.backprop.optimisers import (
    SGD,
    AdaGrad,
    Adam,
    AdaMax,
    AdamW,
    AMSGrad,
    Optimiser,
    RMSProp,
)
from pixgrad.backprop.scalar import Value
from pixgrad.backprop.shapes import Flatten, Reshape, Sum

__all__ = [
    "MSE",
    "SGD",
    "AMSGrad",
    "AdaGrad",
    "AdaMax",
    "Adam",
    "AdamW",
    "Attention",
    "AvgPool2d",
    "BatchNorm2d",
    "Conv2d",
    "CrossEntropy",
    "Dropout",
    "Flatten",
    "Layer",
    "Linear",
    "MaxPool2d",
    "NonFiniteError",
    "Optimiser",
    "RMSProp",
    "ReLU",
    "Reshape",
    "Residual",
    "Sequential",
    "ShapeError",
    "Sigmoid",
    "Softmax",
    "Sum",
    "Tanh",
    "Value",
    "gradcheck",
    "keep_freed_memory",
    "lenet",
    "load",
    "naive_backward",
    "naive_forward",
    "numerical_gradient",
    "predict",
    "raise_first_nonfinite",
    "save",
    "sigmoid_net",
    "train_step",
]
