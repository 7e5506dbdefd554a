"""Prints the size of each wheel in a folder and fails above the bar."""

import sys
from pathlib import Path

BAR = 10_000_000

wheels = sorted(Path(sys.argv[1]).glob("*.whl"))
for wheel in wheels:
    print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.2f} MB (bar: {BAR / 1e6:.0f} MB)")
sys.exit(not wheels or any(wheel.stat().st_size > BAR for wheel in wheels))
