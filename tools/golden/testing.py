"""Golden values of the seeded streams for packages/testing: python3 tools/golden/testing.py (numpy)."""
import json
import pathlib

from seeded import uniform

FILE = pathlib.Path(__file__).parents[2] / "packages/testing/test/golden/seeded.json"
values = {name: uniform(name, (length,)).tolist() for name, length in [("", 3), ("image0", 6), ("layer1.0.conv1.weight", 9)]}
FILE.parent.mkdir(parents=True, exist_ok=True)
FILE.write_text(json.dumps({"origin": "tools/golden/seeded.py with numpy, by tools/golden/testing.py", "values": values}, indent=1) + "\n")
