"""A demonstration: real models, with a recorded past that goes on live.

`models` and `training` train in a process of their own, which `lesson` starts. `story` says what
happens to the models, and `timeline` which requests and truths follow from that. `history` stores
those of the past, `live` sends the others when their time comes. `report` shows the metrics.
"""
