#!/usr/bin/python3
"""The short form of soak_kill.py: killed at each named point and at a random time, nothing acknowledged is lost."""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import soak_kill


SEED = int(os.environ.get("HILUM_SEED", "1"))


class Kill(unittest.TestCase):
    def test_nothing_acknowledged_is_lost_by_kills(self):
        soak_kill.run(soak_kill.Soak, len(soak_kill.POINTS), SEED)

    def test_results_exist_once_whenever_the_server_is_killed(self):
        soak_kill.run(soak_kill.JobSoak, len(soak_kill.JOB_POINTS), SEED)


if __name__ == "__main__":
    unittest.main(warnings="ignore")
