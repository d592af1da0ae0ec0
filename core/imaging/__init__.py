"""From stored pixels to a picture: decode, modality LUT, VOI, colour, geometry."""
