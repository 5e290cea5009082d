"""Pressure-sensor calibration: response models, fits and uncertainty."""
