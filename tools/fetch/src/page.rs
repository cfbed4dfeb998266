//! What a response holds, as text: HTML as Markdown, text as it is. It does not know where it came
//! from beyond the address that relative links need.

use std::cell::RefCell;
use std::rc::Rc;

use htmd::{HtmlToMarkdown, Node};
use html5ever::Attribute;
use markup5ever_rcdom::NodeData;
use toolhost_sdk::ToolError;
use toolhost_sdk::http::Response;
use url::Url;

use crate::charset;

/// Elements that say nothing to a reader of text.
const SILENT: [&str; 14] = [
    "script", "style", "noscript", "template", "iframe", "object", "embed", "svg", "canvas",
    "button", "input", "select", "textarea", "head",
];

/// Levels of elements that are looked at. No page for people is deeper, and the conversion recurses.
const DEEPEST: usize = 200;

/// A page as text.
pub(crate) struct Page {
    pub(crate) title: Option<String>,
    pub(crate) text: String,
}

/// Reads a response.
///
/// # Errors
/// `failed` for what is no text.
pub(crate) fn read(address: &Url, response: &Response, whole: bool) -> Result<Page, ToolError> {
    let header = response.header("content-type");
    let kind = header.map(|header| essence(header).to_ascii_lowercase());
    let text = || charset::decode(&response.body, header);
    match kind.as_deref() {
        Some("text/html" | "application/xhtml+xml") => markdown(address, &text(), whole),
        Some(kind) if is_text(kind) => Ok(plain(text())),
        Some(kind) => Err(ToolError::failed(format_args!(
            "{address} is {kind} with {} bytes; only text can be shown",
            response.body.len()
        ))),
        None if response.body.contains(&0) => Err(ToolError::failed(format_args!(
            "{address} is no text, and the server does not say what it is"
        ))),
        None if text().trim_start().starts_with('<') => markdown(address, &text(), whole),
        None => Ok(plain(text())),
    }
}

fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

fn is_text(kind: &str) -> bool {
    let known = [
        "application/json",
        "application/xml",
        "application/javascript",
        "application/yaml",
        "application/toml",
    ];
    kind.starts_with("text/")
        || kind.ends_with("+json")
        || kind.ends_with("+xml")
        || known.contains(&kind)
}

fn plain(text: String) -> Page {
    Page { title: None, text }
}

fn markdown(address: &Url, html: &str, whole: bool) -> Result<Page, ToolError> {
    let converter = HtmlToMarkdown::builder().skip_tags(SILENT.to_vec()).build();
    let tree = converter
        .html_to_tree(html)
        .map_err(|error| ToolError::failed(format_args!("{address}: {error}")))?;
    let mut survey = Survey::of(address);
    survey.walk(&tree);
    let mains = match survey.mains.as_slice() {
        [main] if !whole => converter.tree_to_markdown(main),
        _ => String::new(),
    };
    let text = if mains.trim().is_empty() {
        converter.tree_to_markdown(&tree)
    } else {
        mains
    };
    Ok(Page {
        title: survey.title,
        text,
    })
}

/// What has to be known of a page before it is converted; links are made absolute on the way.
struct Survey {
    base: Url,
    title: Option<String>,
    mains: Vec<Rc<Node>>,
}

impl Survey {
    fn of(address: &Url) -> Self {
        Self {
            base: address.clone(),
            title: None,
            mains: Vec::new(),
        }
    }

    /// Looks at every element in the page's order.
    fn walk(&mut self, root: &Rc<Node>) {
        let mut left = vec![(Rc::clone(root), 0_usize)];
        while let Some((node, depth)) = left.pop() {
            if depth == DEEPEST {
                node.children.borrow_mut().clear();
            }
            self.look_at(&node);
            let children = node.children.borrow();
            left.extend(
                children
                    .iter()
                    .rev()
                    .map(|child| (Rc::clone(child), depth + 1)),
            );
        }
    }

    fn look_at(&mut self, node: &Rc<Node>) {
        let NodeData::Element { name, attrs, .. } = &node.data else {
            return;
        };
        match &*name.local {
            "title" if self.title.is_none() => {
                self.title = Some(words(node)).filter(|title| !title.is_empty())
            }
            "main" => self.mains.push(Rc::clone(node)),
            "base" => self.rebase(attrs),
            "a" => self.absolute(attrs, "href"),
            "img" => self.absolute(attrs, "src"),
            _ => {}
        }
    }

    fn rebase(&mut self, attributes: &RefCell<Vec<Attribute>>) {
        let attributes = attributes.borrow();
        let href = attributes
            .iter()
            .find(|attribute| &*attribute.name.local == "href");
        if let Some(base) = href.and_then(|href| self.base.join(&href.value).ok()) {
            self.base = base;
        }
    }

    /// Makes a link absolute; takes it away where it leads to no page.
    fn absolute(&self, attributes: &RefCell<Vec<Attribute>>, which: &str) {
        attributes.borrow_mut().retain_mut(|attribute| {
            if &*attribute.name.local != which {
                return true;
            }
            match self.base.join(&attribute.value) {
                Ok(url) if matches!(url.scheme(), "http" | "https" | "mailto") => {
                    attribute.value = url.as_str().into();
                    true
                }
                _ => false,
            }
        });
    }
}

/// The text in an element, in one line.
fn words(node: &Rc<Node>) -> String {
    let mut text = String::new();
    for child in node.children.borrow().iter() {
        if let NodeData::Text { contents } = &child.data {
            text.push_str(&contents.borrow());
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
