"""What code may import. A component has no disk of modules: what is imported while it is built is in
it, and nothing else. It does not know how code is run."""

import importlib
import importlib.resources
import importlib.util
import io

# Whatever is missing stops the build.
NAMES = """
abc argparse array ast asyncio base64 binascii bisect builtins calendar cmath codecs collections
collections.abc colorsys configparser contextlib contextvars copy csv dataclasses datetime decimal difflib
dis email email.message email.parser enum errno filecmp fileinput fnmatch fractions functools gc getopt
glob graphlib gzip hashlib heapq hmac html html.parser io inspect ipaddress itertools json keyword
linecache locale logging math mimetypes numbers operator os os.path pathlib pickle pprint queue quopri
random re reprlib sched secrets shlex shutil sqlite3 stat statistics string stringprep struct sys tarfile
tempfile textwrap threading time timeit tokenize tomllib traceback types typing unicodedata unittest urllib
urllib.parse uuid warnings weakref xml.dom.minidom xml.etree.ElementTree zipfile zlib zoneinfo
encodings.ascii encodings.cp1252 encodings.idna encodings.latin_1 encodings.punycode encodings.utf_16
encodings.utf_16_be encodings.utf_16_le encodings.utf_32 encodings.utf_7 encodings.utf_8_sig
toolhost
""".split()


def load():
    """Imports all of it."""
    for name in NAMES:
        importlib.import_module(name)
    keep_time_zones()


def keep_time_zones():
    """Time zones are files: those of the package `tzdata` are read now, for there are none later. Natively
    there are the system's."""
    if importlib.util.find_spec("tzdata") is None:
        return
    import zoneinfo._common

    data = importlib.resources.files("tzdata")
    names = data.joinpath("zones").read_text().split()
    zones = {name: data.joinpath("zoneinfo", *name.split("/")).read_bytes() for name in names}

    def load_tzdata(key):
        if key not in zones:
            raise zoneinfo.ZoneInfoNotFoundError(f"there is no time zone {key}")
        return io.BytesIO(zones[key])

    zoneinfo._common.load_tzdata = load_tzdata
    zoneinfo.available_timezones = lambda: set(zones)
