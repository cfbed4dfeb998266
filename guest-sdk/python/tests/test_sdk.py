"""The SDK natively: types become schemas, JSON becomes arguments, exceptions become errors.

Run in `guest-sdk/python`: python3 -m unittest discover tests
"""

import enum
import json
import re
import sys
import unittest
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict

sys.path.insert(0, str(Path(__file__).parents[1]))

import toolhost
from toolhost import Code, Output, ToolError, config, fetch, http, kv, log, progress, tool
from toolhost import schema, values


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


class Spot(TypedDict):
    x: float
    label: NotRequired[str]


@dataclass
class Stop:
    """Where a trip stops."""

    minutes: Annotated[int, "How long.", {"minimum": 0}]
    spot: Spot | None = None


@dataclass
class Trip:
    stops: list[Stop]
    tags: dict[str, str] = field(default_factory=dict)


@dataclass
class Node:
    name: str
    children: list["Node"] = field(default_factory=list)


@tool(read_only=True, title="Plan a trip")
def plan(
    trip: Annotated[Trip, "Where to."],
    mode: Literal["fast", "cheap"] = "fast",
    size: Size = Size.SMALL,
    budget: float | None = None,
) -> Trip:
    """Plans a trip."""
    assert isinstance(trip, Trip) and isinstance(size, Size)
    return trip


def refused(function, arguments):
    try:
        function.call(json.dumps(arguments) if not isinstance(arguments, str) else arguments)
    except ToolError as error:
        return error
    raise AssertionError("it was not refused")


class Schemas(unittest.TestCase):
    def test_types_become_schemas(self):
        schema = plan.definition.input_schema
        self.assertEqual(schema["required"], ["trip"])
        self.assertIs(schema["additionalProperties"], False)
        self.assertEqual(
            schema["properties"],
            {
                "trip": {"allOf": [{"$ref": "#/$defs/Trip"}], "description": "Where to."},
                "mode": {"type": "string", "enum": ["fast", "cheap"], "default": "fast"},
                "size": {"type": "string", "enum": ["small", "large"], "default": "small"},
                "budget": {"type": ["number", "null"]},
            },
        )
        stop = schema["$defs"]["Stop"]
        self.assertEqual(stop["description"], "Where a trip stops.")
        self.assertEqual(stop["required"], ["minutes"])
        self.assertEqual(
            stop["properties"]["minutes"],
            {"type": "integer", "description": "How long.", "minimum": 0},
        )
        self.assertEqual(schema["$defs"]["Spot"]["required"], ["x"])

    def test_what_a_result_always_has_is_required(self):
        schema = plan.definition.output_schema
        self.assertEqual(schema["required"], ["stops", "tags"])
        self.assertNotIn("additionalProperties", schema)

    def test_a_result_that_is_no_object_is_put_into_one(self):
        @tool
        def numbers() -> list[int]:
            """Numbers."""
            return [1, 2]

        self.assertEqual(numbers.definition.output_schema["required"], ["result"])
        self.assertEqual(numbers.call("{}").json(), {"result": [1, 2]})

    def test_the_table_of_the_readme_is_true(self):
        text = (Path(__file__).parents[1] / "README.md").read_text()
        row = re.compile(r"^\| `([^`]+)`[^|]*\| `(\{[^`]*\})` \| `([^`]+)` \|$", re.M)
        rows = row.findall(text.replace("\\|", "__OR__"))
        self.assertEqual(len(rows), 13)
        for kind, written, sent in rows:
            kind = eval(kind.replace("__OR__", "|"))
            self.assertEqual(schema.Writer(result=False).of(kind), json.loads(written), kind)
            values.read(kind, json.loads(sent))

    def test_a_type_may_hold_itself(self):
        @tool
        def tree(root: Node) -> Node:
            """A tree."""
            return root

        given = {"root": {"name": "a", "children": [{"name": "b"}]}}
        result = tree.call(json.dumps(given)).json()
        self.assertEqual(result["children"], [{"name": "b", "children": []}])
        self.assertIn("Node", tree.definition.output_schema["$defs"])

    def test_what_cannot_be_a_function_says_so(self):
        def bare(x):
            """Bare."""

        def odd(x: set[int]) -> None:
            """Odd."""

        def silent(x: int) -> None:
            return None

        def no_result(x: int):
            """No result."""

        async def later() -> None:
            """Later."""

        for function, words in [
            (bare, "no type"), (odd, "no JSON form"), (silent, "docstring"),
            (no_result, "return type"), (later, "no async"),
        ]:
            with self.assertRaisesRegex(TypeError, words):
                tool(function)
        with self.assertRaisesRegex(TypeError, "two functions"):
            toolhost.export(plan, plan)


class Numbers(unittest.TestCase):
    def test_a_whole_number_is_an_integer_however_it_is_written(self):
        for kind, text, value in [
            (int, "7.0", 7),
            (int, "7e0", 7),
            (int | None, "7.0", 7),
            (list[int], "[1.0, 2]", [1, 2]),
            (Literal[1, 2], "2.0", 2),
            (Any, "7.0", 7.0),
        ]:
            read = values.read(kind, json.loads(text))
            self.assertEqual(read, value, text)
            self.assertIs(type(read), type(value), text)
        for kind, text in [
            (int, "7.5"),
            (int, "9007199254740992.0"),
            (int, "1e300"),
            (Literal[1, 2], "true"),
            (Literal[True], "1.0"),
        ]:
            with self.assertRaises(values.Mismatch, msg=text):
                values.read(kind, json.loads(text))


class Arguments(unittest.TestCase):
    def test_arguments_become_values_of_their_types(self):
        seen = []

        @tool
        def keep(stop: Stop, size: Size, anything: Any, count: int) -> None:
            """Keeps."""
            seen.extend([stop, size, anything, count])

        keep.call('{"stop": {"minutes": 3}, "size": "large", "anything": [null], "count": 2.0}')
        self.assertEqual(seen, [Stop(3), Size.LARGE, [None], 2])
        self.assertIs(type(seen[3]), int)

    def test_a_wrong_argument_is_named_by_its_path(self):
        cases = [
            ({"trip": {"stops": [{"minutes": 1}, {"minutes": "x"}]}},
             'trip.stops[1].minutes: expected a whole number, got "x"'),
            ({"trip": {"stops": [{}]}}, "trip.stops[0].minutes: is missing"),
            ({"trip": {"stops": [], "x": 1}}, 'trip.x: is not known; there are "stops", "tags"'),
            ({"trip": {"stops": []}, "mode": "slow"},
             'mode: expected one of "fast", "cheap", got "slow"'),
            ({"trip": {"stops": []}, "size": 1}, 'size: expected one of "small", "large", got 1'),
            ({"trip": {"stops": []}, "budget": True}, "budget: expected a number, got true"),
            ({"trip": {"stops": [{"minutes": 1, "spot": {}}]}}, "trip.stops[0].spot.x: is missing"),
            ({}, "trip: is missing"),
            ({"trap": 1}, "trap: is not known; there are: trip, mode, size, budget"),
            ("[]", "the arguments are no JSON object"),
        ]
        for arguments, message in cases:
            error = refused(plan, arguments)
            self.assertEqual((error.code, error.message), (Code.INVALID_ARGUMENTS, message))
        self.assertEqual(refused(plan, "[" * 100_000).code, Code.INVALID_ARGUMENTS)

    def test_an_exception_is_a_failure_that_says_which(self):
        @tool
        def divide(by: int) -> float:
            """Divides."""
            return 1 / by

        log.recorded()
        error = refused(divide, {"by": 0})
        self.assertEqual(error.code, Code.FAILED)
        self.assertEqual(error.message, "ZeroDivisionError: division by zero")
        [(level, context, message)] = log.recorded()
        self.assertEqual((level, context), ("error", "traceback"))
        self.assertIn("return 1 / by", message)

    def test_every_end_is_an_error_the_agent_can_read(self):
        @tool
        def end(how: str) -> float:
            """Ends."""
            if how == "file":
                open("/there/is/no/such/file")
            if how == "exit":
                sys.exit(3)
            if how == "tool":
                raise ToolError.rate_limited("slow down", retry_after=7, data={"limit": 30})
            if how == "deep":
                return end(how)
            return float("nan")

        codes = {how: refused(end, {"how": how}).code for how in ("file", "exit", "tool", "deep", "nan")}
        self.assertEqual(
            codes,
            {"file": "not-found", "exit": "failed", "tool": "rate-limited", "deep": "failed", "nan": "failed"},
        )


class Outside(unittest.TestCase):
    def test_http_is_one_line(self):
        def shop(request):
            self.assertEqual(request.url, "https://shop.example/orders/a%2Fb?q=a%20b%26c%3D%C3%BC")
            self.assertIn(("accept", "application/json"), request.headers)
            return http.Response(200, '{"minutes": 3, "more": 1}')

        with http.answering(shop):
            url = f"https://shop.example/orders/{http.segment('a/b')}"
            self.assertEqual(http.get(url).query("q", "a b&c=ü").json(Stop), Stop(3))

    def test_fetch_gives_the_response(self):
        seen = []
        with http.answering(lambda request: seen.append(request) or http.Response(404, "none")):
            answer = fetch(
                "https://a.example/x", method="put", headers={"X-A": 1}, body="ä", timeout=0.5
            )
            fetch("https://a.example/y", headers=[("a", "b"), ("a", "c")])
        self.assertEqual((answer.status, answer.text()), (404, "none"))
        self.assertEqual(
            seen[0],
            http.Request("PUT", "https://a.example/x", [("X-A", "1")], "ä".encode(), 500),
        )
        self.assertEqual(
            seen[1], http.Request("GET", "https://a.example/y", [("a", "b"), ("a", "c")])
        )
        with self.assertRaises(http.Error):
            fetch("https://a.example/")

    def test_statuses_become_codes(self):
        expected = {
            400: "failed", 401: "denied", 403: "denied", 404: "not-found", 408: "unavailable",
            429: "rate-limited", 500: "unavailable", 503: "unavailable",
        }
        for status, code in expected.items():
            answer = http.Response(status, "why", [("retry-after", b"30")])
            with self.assertRaises(ToolError) as raised:
                answer.raise_for_status()
            self.assertEqual(raised.exception.code, code)
            self.assertEqual(raised.exception.retry_after, 30)
            self.assertEqual(raised.exception.message, f"the upstream answered with status {status}: why")

    def test_an_unexpected_answer_is_quoted(self):
        with http.answering(lambda _: http.Response(200, "<html>")):
            with self.assertRaisesRegex(ToolError, "<html>"):
                http.get("https://a.example/").json()
        with http.answering(lambda _: http.Response(200, "{}")):
            with self.assertRaisesRegex(ToolError, "minutes: is missing"):
                http.get("https://a.example/").json(Stop)

    def test_buckets(self):
        with kv.buckets("notes"):
            bucket = kv.open("notes")
            bucket.set("a", "one")
            bucket.set_json("b", {"x": 1.5})
            self.assertEqual(bucket.get_text("a"), "one")
            self.assertEqual(bucket.get_json("b", Spot), {"x": 1.5})
            self.assertEqual(bucket.increment("n", 5) + bucket.increment("n"), 11)
            self.assertEqual(bucket.update("a", lambda value: value + b"!"), b"one!")
            self.assertEqual(bucket.get_many(["a", "c"]), [b"one!", None])
            bucket.delete_many(["a", "n"])
            self.assertEqual(bucket.keys(), ["b"])
            with self.assertRaises(kv.Error) as raised:
                kv.open("other")
        self.assertEqual((raised.exception.code, raised.exception.reason), ("denied", "no-such-store"))

    def test_config_progress_and_log(self):
        with config.values(currency="CHF"):
            self.assertEqual((config.get("currency"), config.get("x", "y")), ("CHF", "y"))
        self.assertIsNone(config.get("currency"))
        progress.report(1, 2, "half")
        self.assertEqual(progress.recorded(), [(1.0, 2.0, "half")])
        log.recorded()
        log.warn("odd")
        self.assertEqual(log.recorded(), [("warn", "", "odd")])

    def test_a_result_of_several_pieces(self):
        output = Output().text("a").blob("image/png", b"\x89").link("https://a.example/", "a")
        self.assertEqual(len(output.with_structured([1]).contents), 3)
        self.assertEqual(output.json(), {"result": [1]})

    def test_a_tool_natively(self):
        tools = toolhost.export(plan)()
        self.assertEqual(tools.definitions(), [plan.definition])
        with self.assertRaises(ToolError) as raised:
            tools.call("other", "{}")
        self.assertEqual(raised.exception.code, Code.NOT_FOUND)


if __name__ == "__main__":
    unittest.main()
