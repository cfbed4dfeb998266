//! Ground that is safe, and ground that only looks so.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::{Permissions, create_dir_all, set_permissions, write};
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

struct Yard(tempfile::TempDir);

impl Yard {
    /// `own/manifest` and an empty `own/dir`, closed to others, and `open`, which is not.
    fn new() -> Self {
        let yard = Self(tempfile::tempdir().unwrap());
        for folder in ["own/dir", "open", "sticky"] {
            create_dir_all(yard.at(folder)).unwrap();
        }
        for file in ["own/manifest", "open/file", "sticky/file"] {
            write(yard.at(file), "").unwrap();
            yard.mode(file, 0o644);
        }
        for (folder, mode) in [
            ("own", 0o755),
            ("own/dir", 0o700),
            ("open", 0o777),
            ("sticky", 0o1777),
        ] {
            yard.mode(folder, mode);
        }
        yard
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn mode(&self, name: &str, mode: u32) {
        set_permissions(self.at(name), Permissions::from_mode(mode)).unwrap();
    }

    fn owner(&self) -> Owner {
        Owner {
            user: rustix::process::geteuid().as_raw(),
            group: None,
        }
    }

    fn says(&self, kept: Kept, given: &[Given]) -> String {
        inspect(&[kept], given, self.owner()).join("\n")
    }

    fn says_of(&self, name: &str) -> String {
        self.says(Kept::unchanged("the manifest", self.at(name)), &[])
    }
}

#[test]
fn what_is_closed_is_safe() {
    let yard = Yard::new();
    for name in [
        "own/manifest",
        "own/./dir/../manifest",
        "own/missing",
        "sticky/file",
    ] {
        assert_eq!(yard.says_of(name), "", "{name}");
    }
    let private = Kept::private("the state", yard.at("own/dir"));
    assert_eq!(yard.says(private, &[]), "");
}

#[test]
fn what_others_may_write_is_not_and_neither_is_what_they_could_replace() {
    let yard = Yard::new();
    yard.mode("own/manifest", 0o664);
    let said = yard.says_of("own/manifest");
    assert!(
        said.contains("(mode 0664)") && said.contains("chmod go-w"),
        "{said}"
    );
    let said = yard.says_of("open/file");
    assert!(
        said.contains("(mode 0777)") && said.contains("chmod go-w"),
        "{said}"
    );
    // Nobody holds a place in a folder like /tmp that is not taken yet.
    assert!(
        yard.says_of("sticky/missing")
            .contains("another in its place")
    );
    yard.mode("own", 0o775);
    assert!(yard.says_of("own/dir").contains("(mode 0775)"));
    let private = Kept::private("the state", yard.at("own"));
    yard.mode("own", 0o755);
    let said = yard.says(private, &[]);
    assert!(
        said.contains("look into it") && said.contains("chmod go-rwx"),
        "{said}"
    );
}

#[test]
fn links_are_followed_and_every_folder_on_the_way_counts() {
    let yard = Yard::new();
    symlink("../own/manifest", yard.at("open/link")).unwrap();
    assert!(yard.says_of("open/link").contains("another in its place"));
    symlink("../open/file", yard.at("own/link")).unwrap();
    assert!(yard.says_of("own/link").contains("another in its place"));
    symlink(yard.at("own"), yard.at("own/again")).unwrap();
    assert_eq!(yard.says_of("own/again/manifest"), "");
    symlink("round", yard.at("own/round")).unwrap();
    assert!(yard.says_of("own/round").contains("too many links"));
}

#[test]
fn what_belongs_to_somebody_else_is_refused() {
    let yard = Yard::new();
    let stranger = Owner {
        user: 4_242,
        group: None,
    };
    let kept = [Kept::unchanged("the manifest", yard.at("own/manifest"))];
    let said = inspect(&kept, &[], stranger).join("\n");
    // Where the tests run as root, root's files are trusted by everybody.
    if yard.owner().user == 0 {
        std::os::unix::fs::chown(yard.at("own/manifest"), Some(65_534), None).unwrap();
        let said = inspect(&kept, &[], stranger).join("\n");
        assert!(
            said.contains("belongs to user 65534") && said.contains("chown 4242"),
            "{said}"
        );
    } else {
        assert!(said.contains("belongs to user"), "{said}");
    }
}

/// The group of the host's own is no other user where the host says `dev`.
#[test]
fn in_dev_the_own_group_is_one_with_the_user() {
    let yard = Yard::new();
    yard.mode("own/manifest", 0o664);
    let kept = [Kept::unchanged("the manifest", yard.at("own/manifest"))];
    let group = std::fs::metadata(yard.at("own/manifest")).unwrap().gid();
    let dev = Owner {
        group: Some(group),
        ..yard.owner()
    };
    assert_eq!(inspect(&kept, &[], dev), Vec::<String>::new());
    yard.mode("own/manifest", 0o666);
    assert_eq!(inspect(&kept, &[], dev).len(), 1);
}

#[test]
fn what_a_tool_is_granted_is_apart_from_it_also_through_links() {
    let yard = Yard::new();
    symlink("own", yard.at("alias")).unwrap();
    let given = |name: &str, writable: bool| Given {
        what: "`d` of the tool `t`".to_owned(),
        path: yard.at(name),
        writable,
        sections: vec![0],
    };
    let manifest = || Kept::unchanged("the manifest", yard.at("own/manifest"));
    let token = || Kept::private("the token", yard.at("own/manifest"));
    assert!(
        yard.says(manifest(), &[given("alias", true)])
            .contains("lies in the granted")
    );
    assert_eq!(yard.says(manifest(), &[given("alias", false)]), "");
    assert!(
        yard.says(token(), &[given("alias", false)])
            .contains("lies in the granted")
    );

    // What lies in the folder that is the host's alone, and the folder itself.
    let state = || Kept::private("the state folder", yard.at("own"));
    for place in ["own/dir", "alias/dir", "alias"] {
        let said = yard.says(state(), &[given(place, false)]);
        assert!(said.contains("lies in"), "{place}: {said}");
    }
    assert!(
        !yard
            .says(state(), &[given("open", true)])
            .contains("lies in")
    );
    // Another room says who may read it; a tool may not.
    let secret = || Kept::secret("the secret `s`", yard.at("own/manifest"));
    assert!(
        yard.says(secret(), &[given("alias", false)])
            .contains("lies in the granted")
    );
    let socket = || Kept::unchanged("the socket's folder", yard.at("own/dir"));
    assert!(
        yard.says(socket(), &[given("alias/dir", true)])
            .contains("lies in the granted")
    );

    let nested = [given("alias", true), given("own/dir", false)];
    let said = inspect(&[], &nested, yard.owner()).join("\n");
    assert!(said.contains("could put a link in its place"), "{said}");
    let apart = [
        given("own/dir", true),
        given("open", true),
        given("own/dir", true),
    ];
    assert_eq!(inspect(&[], &apart, yard.owner()), Vec::<String>::new());
}

#[test]
fn x45_one_tree_is_not_granted_to_be_read_and_to_be_written() {
    let yard = Yard::new();
    symlink("own", yard.at("alias")).unwrap();
    symlink("alias/dir", yard.at("deep")).unwrap();
    let given = |name: &str, writable: bool, section: usize| Given {
        what: format!("`{name}` of the tool `t`"),
        path: yard.at(name),
        writable,
        sections: vec![section],
    };
    let says = |one: Given, other: Given| {
        let said = inspect(&[], &[one, other], yard.owner()).join("\n");
        said.contains("both lead to the same files")
    };
    for (read, written) in [
        ("own", "alias"),
        ("alias", "own"),
        ("own", "deep"),
        ("alias", "deep"),
        ("own/dir", "deep"),
        ("own", "open/../own/dir"),
    ] {
        assert!(
            says(given(read, false, 0), given(written, true, 0)),
            "{read} {written}"
        );
        assert!(
            says(given(written, true, 0), given(read, false, 0)),
            "{read} {written}"
        );
    }
    assert!(!says(given("own", false, 0), given("open", true, 0)));
    assert!(!says(given("own/dir", false, 0), given("deep", false, 0)));
    // Two guests that never see each other's: what the one writes the other is to read.
    assert!(!says(given("own", false, 0), given("alias", true, 1)));
}

#[test]
fn x50_a_directory_is_judged_as_it_was_opened_and_no_link_of_others_leads_to_it() {
    let yard = Yard::new();
    let given = |name: &str| Given {
        what: format!("`{name}` of the tool `t`"),
        path: yard.at(name),
        writable: false,
        sections: vec![0],
    };
    let judge = |granted: &str, opened: &str| {
        let exposed = FilePermissions {
            kept: vec![Kept::private("the ledger", yard.at("own/ledger"))],
            given: vec![given(granted)],
            owner: yard.owner(),
        };
        let opened = std::fs::File::open(yard.at(opened)).unwrap();
        let judged = exposed.judge(&yard.at(granted), &opened);
        judged
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    };
    create_dir_all(yard.at("own/ledger/deep")).unwrap();
    symlink("../own/dir", yard.at("open/link")).unwrap();
    symlink("own/dir", yard.at("link")).unwrap();
    symlink("own/ledger/deep", yard.at("deep")).unwrap();
    assert_eq!(judge("own/dir", "own/dir"), "");
    assert_eq!(judge("link", "own/dir"), "");
    // It was exchanged while it was opened, to and fro.
    for opened in ["own", "open", "own/ledger", "/"] {
        let said = judge("own/dir", opened);
        assert!(said.contains("came to stand there"), "{opened}: {said}");
    }
    assert!(judge("deep", "deep").contains("lies in the ledger"));
    assert!(judge("own", "own").contains("lies in the granted directory"));
    // A load and an opening say the same of a link that others could exchange, and of the kernel's own.
    assert!(judge("open/link", "own/dir").contains("other users may write"));
    let load = |one: Given| inspect(&[], &[one], yard.owner()).join("\n");
    assert!(load(given("open/link")).contains("other users may write"));
    assert_eq!(load(given("link")), "");
    let proc = Given {
        path: "/proc/self".into(),
        ..given("proc")
    };
    assert!(load(proc).contains("the kernel shows itself"));
}
