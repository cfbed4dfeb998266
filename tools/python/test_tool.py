"""The runner alone, natively: python3 -m unittest"""

import sys
import unittest

# The SDK, where `toolhost build` puts it.
sys.path.insert(0, ".toolhost/sdk/guest-sdk/python")

from plain import MOST_VALUES, Captured, Plain
from tool import run


class Run(unittest.TestCase):
    def test_print_and_result_are_apart(self):
        ran = run("print(input)\ninput + 1", 1)
        self.assertEqual((ran.stdout, ran.result, ran.exception), ("1\n", 2, None))

    def test_the_variable_comes_first(self):
        self.assertEqual(run("result = 1\n2").result, 1)

    def test_a_chain_of_exceptions_has_the_codes_frames_alone(self):
        raised = run("import json\ntry:\n  json.loads('{')\nexcept ValueError as e:\n  raise KeyError(1) from e").exception
        self.assertEqual(raised.type, "KeyError")
        self.assertIn("direct cause", raised.traceback)
        self.assertNotIn("decoder.py", raised.traceback)
        self.assertNotIn("tool.py", raised.traceback)

    def test_asyncio_has_a_loop_of_timers(self):
        code = "import asyncio\nasync def f():\n  await asyncio.sleep(0.001)\n  return 3\nasyncio.run(f())"
        self.assertEqual(run(code).result, 3)
        stuck = run("import asyncio\nasyncio.run(asyncio.Event().wait())").exception
        self.assertIn("nothing that could wake it", stuck.message)

    def test_a_repr_that_raises_is_no_end(self):
        ran = run("class A:\n  def __repr__(self): raise ValueError\nA()")
        self.assertEqual(ran.result, "<A whose repr raises ValueError>")


class Values(unittest.TestCase):
    def test_what_holds_itself_and_what_is_deep(self):
        ring = []
        ring.append(ring)
        plain = Plain()
        self.assertEqual(plain.of(ring), ["..."])
        deep = []
        for _ in range(100_000):
            deep = [deep]
        plain.of(deep)
        self.assertEqual(plain.notes[0], "result[0]: it holds itself (... stands there)")
        self.assertIn("nested too deeply", plain.notes[1])

    def test_what_is_too_much_is_not_looked_at(self):
        plain = Plain()
        self.assertEqual(len(plain.of([0] * 1_000_000)), MOST_VALUES)
        self.assertEqual(plain.of({"n": 1}), "...")
        self.assertEqual(len(plain.notes), 2)

    def test_a_character_cut_in_half_is_left_out(self):
        captured = Captured(most=3)
        captured.stream().write("aéé")
        self.assertEqual((captured.text(), captured.lost), ("aé", 2))


if __name__ == "__main__":
    unittest.main()
