"""The functions alone, natively: python3 -m unittest"""

import sys
import unittest

# The SDK, where `toolhost new` and `toolhost build` put it.
sys.path.insert(0, ".toolhost/sdk/guest-sdk/python")

from toolhost import ToolError

from tool import Counts, count


class Count(unittest.TestCase):
    def test_everything_is_counted(self):
        counts = count("To be, or\nnot to be\n", "to be")
        self.assertEqual(counts, Counts(characters=20, words=6, lines=2, occurrences=2))

    def test_an_empty_phrase_is_refused(self):
        with self.assertRaisesRegex(ToolError, "phrase:"):
            count("text", " ")


if __name__ == "__main__":
    unittest.main()
