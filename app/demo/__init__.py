"""A demonstration: real models whose week is told as if it had been recorded, and then goes on.

`models` and `training` train in a process of their own, which `lesson` starts. `story` says what
happens to the models, and `timeline` which requests and truths follow from that. `history` stores
those of the past, `live` sends the others when their time comes. `report` shows the metrics.
"""
