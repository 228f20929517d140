"""Market data of other tools' files and of frames, taken into a dataset."""
