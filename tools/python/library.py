"""What code may import. A component has no disk of modules: what is imported while it is built is in
it, and nothing else. It does not know how code is run."""

import importlib

NAMES = """
abc argparse array ast base64 binascii bisect builtins calendar cmath codecs collections collections.abc
colorsys configparser contextlib contextvars copy csv dataclasses datetime decimal difflib dis email
email.message email.parser enum errno filecmp fileinput fnmatch fractions functools gc getopt glob
graphlib gzip hashlib heapq hmac html html.parser io inspect ipaddress itertools json keyword linecache
locale logging math mimetypes numbers operator os os.path pathlib pickle pprint queue quopri random re
reprlib sched secrets shlex shutil statistics stat string stringprep struct sys tarfile tempfile textwrap
threading time timeit tokenize tomllib traceback types typing unicodedata unittest urllib urllib.parse
uuid warnings weakref xml.dom.minidom xml.etree.ElementTree zipfile zlib
encodings.ascii encodings.cp1252 encodings.idna encodings.latin_1 encodings.punycode encodings.utf_16
encodings.utf_16_be encodings.utf_16_le encodings.utf_32 encodings.utf_7 encodings.utf_8_sig
toolhost
""".split()


def load():
    """Imports all of it, and gives the names of what this Python does not have."""
    missing = []
    for name in NAMES:
        try:
            importlib.import_module(name)
        except ImportError:
            missing.append(name)
    return missing
