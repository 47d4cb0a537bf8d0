"""The bench runs, and its table has every row with a ratio. How large the ratios are is for `make bench` on a quiet machine."""

import json
import os
import subprocess
import tempfile
import unittest

from harness import ROOT


class BenchShort(unittest.TestCase):
    def test_a_quick_run_gives_every_row_its_ratios(self):
        with tempfile.TemporaryDirectory(prefix="bench-test-") as folder:
            path = os.path.join(folder, "result.json")
            run = subprocess.run([os.path.join(ROOT, "bench", "run"), "--quick", "--json", path], capture_output=True, text=True, timeout=280)
            self.assertEqual(run.returncode, 0, run.stdout + run.stderr[-2000:])
            with open(path, encoding="utf-8") as f:
                result = json.load(f)
        self.assertEqual([row["key"] for row in result["rows"]], ["store_1", "store_4", "store_small", "store_stock", "qido", "frame", "metadata"])
        for row in result["rows"]:
            self.assertTrue(row["bars"], row["title"])
            for bar in row["bars"]:
                self.assertGreater(bar["ratio"], 0, row["title"])
        self.assertEqual(len(result["limits"]), 3)
        for limit in result["limits"]:
            self.assertGreater(limit["value"], 0, limit["title"])
            self.assertIn(limit["title"], run.stdout)
        self.assertLess(result["limits"][2]["value"], 256, "memory in MiB: far from what it should be")


if __name__ == "__main__":
    unittest.main()
