"""Bodies of any size: read in chunks, checked and stored by column.

Needs pyarrow and numpy, the extra `bulk`: import these modules only where they are used.
"""
