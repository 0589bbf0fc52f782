"""The script that writes the masks needs PyTorch."""

collect_ignore = ["make.py"]
