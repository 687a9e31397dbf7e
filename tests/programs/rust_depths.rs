//! Allocates at many depths, in the ways of Rust's library.

use std::collections::{BTreeMap, HashMap};

enum Tree {
    Leaf(String),
    Pair(Box<Tree>, Box<Tree>),
}

fn grow(depth: u32) -> Tree {
    if depth == 0 {
        return Tree::Leaf(format!("{depth:>40}"));
    }
    Tree::Pair(Box::new(grow(depth - 1)), Box::new(grow(depth / 2)))
}

fn text(tree: &Tree, into: &mut dyn FnMut(&str)) {
    match tree {
        Tree::Leaf(word) => into(word),
        Tree::Pair(left, right) => {
            text(left, into);
            text(right, into);
        }
    }
}

fn round(round: usize) -> usize {
    let mut words: Vec<String> = Vec::new();
    text(&grow(8), &mut |word| words.push(word.trim().repeat(round % 5 + 20)));
    words.sort_by_key(|word| word.to_uppercase());
    let mut index: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, word) in words.iter().enumerate() {
        index.entry(format!("{word}{}", at % 7)).or_default().push(at);
    }
    let lengths: HashMap<&str, usize> = index.iter().map(|(key, at)| (&**key, at.len())).collect();
    let caught = std::panic::catch_unwind(|| {
        if round % 3 == 0 {
            std::panic::resume_unwind(Box::new(format!("round {round}")));
        }
        vec![round; 100].len()
    });
    lengths.values().sum::<usize>() + caught.unwrap_or_default()
}

fn main() {
    let thread = std::thread::spawn(|| (0..1000).map(round).sum::<usize>());
    println!("{}", thread.join().unwrap());
}
