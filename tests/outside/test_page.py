#!/usr/bin/python3
"""The page in a real browser (tests/page/page.mjs), over a real head with a SYNTHETIC bleed. HILUM_SCREENSHOTS names a folder to keep the pictures in (docs/screenshots)."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import ROOT, Hilum

SEED = 5


class Page(unittest.TestCase):
    def test_the_list_comes_live_and_a_study_opens_with_its_mask_and_is_judged(self):
        with tempfile.TemporaryDirectory(prefix="hilum-page-") as folder, Hilum() as server:
            subprocess.run([os.path.join(ROOT, "tools", "head-ct"), "make", folder, "--bleed-seed", str(SEED)], check=True, stdout=subprocess.DEVNULL)
            series = os.path.join(folder, f"bleed-{SEED:04d}")
            with open(series + ".truth.json", encoding="utf-8") as f:
                truth = json.load(f)
            pictures = os.environ.get("HILUM_SCREENSHOTS", folder)
            # The browser is there before the images: the list must change under its eyes.
            browser = subprocess.Popen(["node", os.path.join(ROOT, "tests", "page", "page.mjs"), server.url("/"), truth["study"], pictures], stdout=subprocess.PIPE, text=True)
            server.command("send", f"127.0.0.1:{server.dicom}", series, "--aec", "HILUM")
            output, _ = browser.communicate(timeout=120)
            seen = json.loads(output)
            self.assertEqual(browser.returncode, 0, seen)
            self.assertEqual(seen["errors"], [])
            self.assertEqual(seen["first"], truth["study"])
            self.assertEqual(seen["urgency"], "stat")
            self.assertIn(truth["side"], seen["reason"])
            self.assertIn("research", seen["label"])
            self.assertGreater(seen["maskPixels"], 50)
            self.assertEqual(seen["scrolled"], 1)
            self.assertIn("accepted by Dr Test", seen["judged"])
            finding = server.get_json(f"/api/studies/{truth['study']}/findings")[0]
            self.assertEqual((finding["state"], finding["judgedBy"]), ("accepted", "Dr Test"))
            self.assertIn("not verified", seen["judged"])


if __name__ == "__main__":
    unittest.main()
