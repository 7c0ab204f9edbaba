"""Receptive fields by layer for the figure with the choice of a network and a slider of layers."""

from collections.abc import Mapping

from pixgrad.nets.receptive import Field


def payload(networks: Mapping[str, tuple[int, Mapping[str, Field]]]) -> dict:
    """What a cell of every layer sees.

    Parameters
    ----------
    networks : name in the book -> usual side of the input, fields of its layers in order.

    Returns
    -------
    dict; a layer is [name, low, high, jump].
    """
    return {
        "networks": [
            {
                "name": name,
                "side": side,
                "layers": [
                    [layer, field.low, field.high, field.jump] for layer, field in fields.items()
                ],
            }
            for name, (side, fields) in networks.items()
        ]
    }
