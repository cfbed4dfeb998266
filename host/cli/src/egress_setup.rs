//! The way to the outside, from the manifest and the files that it names: certificates, keys, the
//! DNS server.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use zeroize::Zeroizing;

use crate::compile::bounded;
use crate::egress::TlsFiles;
use crate::manifest::Manifest;
use toolhost_outbound::dial::{Dialer, Tls};
use toolhost_outbound::resolve::{Resolve, ServerResolver, SystemResolver};

/// The most that a PEM file may have: a bundle of every public authority has a fifth of it.
const MOST: u64 = 1 << 20;

/// The dialer for a manifest; `base` is where its paths begin. A grant whose files cannot be used sends
/// nothing: see [`unusable`].
pub(super) fn dialer(manifest: &Manifest, base: &Path) -> anyhow::Result<Dialer> {
    let resolver: Arc<dyn Resolve> = match manifest.host.dns {
        None => Arc::new(SystemResolver),
        Some(server) => {
            let resolver = ServerResolver::new(server);
            Arc::new(resolver.with_context(|| format!("cannot use the DNS server {server}"))?)
        }
    };
    let mut tls = BTreeMap::new();
    for (_, files, _) in files(manifest) {
        if !tls.contains_key(files)
            && let Ok(read) = read(files, base)
        {
            tls.insert(files.clone(), read);
        }
    }
    let dialer = Dialer::with_resolver(resolver).with_tls(tls);
    // Whichever process of this host opened it: `call` runs beside `serve`.
    if let Some(door) = manifest.host.http {
        dialer.keep_off(door);
    }
    Ok(dialer)
}

/// The tools that cannot send what a grant says, for its files cannot be used: with the grant's line,
/// and why.
pub(super) fn unusable(
    manifest: &Manifest,
    base: &Path,
) -> impl Iterator<Item = (u32, anyhow::Error)> {
    files(manifest).filter_map(move |(tool, files, line)| {
        let error = read(files, base).err()?;
        Some((line, error.context(format!("tool `{tool}`"))))
    })
}

/// The files of every grant, with its tool and line, where it names any.
fn files(manifest: &Manifest) -> impl Iterator<Item = (&str, &TlsFiles, u32)> {
    let sections = manifest.tools.iter().flat_map(|tool| {
        let sections = std::iter::once(&tool.all).chain(tool.functions.values());
        sections.map(|section| (&*tool.name, section))
    });
    let grants = sections.flat_map(|(tool, section)| {
        let grants = section.grants.http.iter();
        grants.map(move |grant| (tool, &grant.way.tls, grant.line))
    });
    grants.filter(|(_, files, _)| **files != TlsFiles::default())
}

/// Every file that the dialer is made from: who could change one could read what is sent.
pub(super) fn paths(manifest: &Manifest) -> BTreeSet<&Path> {
    let all = files(manifest).flat_map(|(_, files, _)| {
        let client = files.client.iter();
        let client = client.flat_map(|client| [&client.certificate, &client.key]);
        files.ca.iter().chain(client)
    });
    all.map(PathBuf::as_path).collect()
}

/// Those of them that nobody may read.
pub(super) fn keys(manifest: &Manifest) -> BTreeSet<&Path> {
    let clients = files(manifest).filter_map(|(_, files, _)| files.client.as_ref());
    clients.map(|client| client.key.as_path()).collect()
}

fn read(files: &TlsFiles, base: &Path) -> anyhow::Result<Tls> {
    let ca = match &files.ca {
        Some(path) => Some(pem(&base.join(path))?),
        None => None,
    };
    let client = match &files.client {
        Some(client) => Some((
            pem(&base.join(&client.certificate))?,
            key(&base.join(&client.key))?,
        )),
        None => None,
    };
    let pair = client
        .as_ref()
        .map(|(certificate, key)| (&***certificate, &***key));
    let ca = ca.as_ref().map(|ca| ca.as_slice());
    Tls::new(ca, pair).with_context(|| {
        let names = files.ca.iter().chain(
            files
                .client
                .iter()
                .flat_map(|client| [&client.certificate, &client.key]),
        );
        let names: Vec<String> = names.map(|path| path.display().to_string()).collect();
        format!("cannot use {}", names.join(", "))
    })
}

/// A private key: nobody else may read it. What is opened is judged, and nothing else is read.
fn key(path: &Path) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let cannot = || format!("cannot read {}", path.display());
    let (file, meta) = bounded::open(path).with_context(cannot)?;
    if meta.permissions().mode() & 0o007 != 0 {
        bail!(
            "{} can be used by everybody on this machine; chmod o-rwx it",
            path.display()
        );
    }
    let text = bounded::read_open((file, meta), MOST).with_context(cannot)?;
    Ok(Zeroizing::new(text))
}

fn pem(path: &Path) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let cannot = || format!("cannot read {}", path.display());
    let text = bounded::read(path, MOST).with_context(cannot)?;
    Ok(Zeroizing::new(text))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::manifest::parse;

    fn manifest(keys: &str) -> Manifest {
        let text = format!(
            "schema = 1\n[tool.t]\ncomponent = 't.wasm'\n[tool.t.http.g]\n\
             url = 'https://a.test'\nallow = ['GET /']\n{keys}"
        );
        parse("toolhost.toml", &text).unwrap_or_else(|problems| panic!("{problems}"))
    }

    fn refused(keys: &str, base: &Path) -> String {
        let manifest = manifest(keys);
        assert!(dialer(&manifest, base).is_ok(), "it costs this grant alone");
        let wrong: Vec<_> = unusable(&manifest, base).collect();
        assert_eq!(wrong.len(), 1, "{keys}");
        assert_eq!(wrong[0].0, 4, "{keys}");
        format!("{:#}", wrong[0].1)
    }

    #[test]
    fn what_is_no_certificate_or_no_key_is_named_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path();
        let write = |name: &str, mode| {
            std::fs::write(base.join(name), "nothing of the kind").unwrap();
            std::fs::set_permissions(base.join(name), std::fs::Permissions::from_mode(mode))
                .unwrap();
        };
        write("a.pem", 0o644);
        write("a.key", 0o640);
        write("open.key", 0o644);
        let client = |key| format!("client_cert = 'a.pem'\nclient_key = '{key}'");
        for (keys, why) in [
            ("ca = 'none.pem'".to_owned(), "cannot read"),
            ("ca = '.'".to_owned(), "is not a file"),
            (
                "ca = 'a.pem'".to_owned(),
                "cannot use a.pem: holds no certificate",
            ),
            (client("none.key"), "cannot read"),
            (client("open.key"), "chmod o-rwx it"),
            (
                client("a.key"),
                "cannot use a.pem, a.key: hold no certificate",
            ),
        ] {
            let said = refused(&keys, base);
            assert!(
                said.contains(why) && said.starts_with("tool `t`: "),
                "{keys}: {said}"
            );
        }
        assert_eq!(unusable(&manifest(""), base).count(), 0);
    }
}
