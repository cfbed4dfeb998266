-- The buckets of capability/kv: one row of `space` for each bucket with its sums, one of `entry` for each
-- key.
--
-- `clock` numbers a bucket's writes. `born` is the number at which a key was made (its place in lists),
-- `version` the one at which its value was last written (what compare-and-swap compares). Neither is ever
-- used twice, and both count within the bucket alone: they tell nothing of others.
CREATE TABLE space (
    id INTEGER PRIMARY KEY,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    caller TEXT NOT NULL,
    bytes INTEGER NOT NULL DEFAULT 0,
    keys INTEGER NOT NULL DEFAULT 0,
    clock INTEGER NOT NULL DEFAULT 0,
    UNIQUE (owner, name, caller)
) STRICT;
CREATE TABLE entry (
    id INTEGER PRIMARY KEY,
    space INTEGER NOT NULL,
    born INTEGER NOT NULL,
    version INTEGER NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    UNIQUE (space, key),
    UNIQUE (space, born)
) STRICT;
