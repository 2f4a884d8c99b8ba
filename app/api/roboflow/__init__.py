"""Roboflow: reports of the inference server, and the model monitoring API."""
