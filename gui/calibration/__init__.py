"""The wizard that leads through a sensor's calibration, from the choice of the sensor to the certificate."""
