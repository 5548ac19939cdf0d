//! The same request, written as no sender would but as protobuf allows.

use crate::Signal;

/// A small generator of random numbers (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Request,
    OfResource,
    OfScope,
    Resource,
    Scope,
    Item,
    Event,
    Link,
    Status,
    KeyValue,
    Value,
    List,
    Map,
    EntityRef,
}

/// What the field `tag` of a message holds, where that is a message.
fn child(kind: Kind, tag: u64, signal: Signal) -> Option<Kind> {
    Some(match (kind, tag) {
        (Kind::Request, 1) => Kind::OfResource,
        (Kind::OfResource, 1) => Kind::Resource,
        (Kind::OfResource, 2) => Kind::OfScope,
        (Kind::OfScope, 1) => Kind::Scope,
        (Kind::OfScope, 2) => Kind::Item,
        (Kind::Item, 9) if signal == Signal::Traces => Kind::KeyValue,
        (Kind::Item, 11) if signal == Signal::Traces => Kind::Event,
        (Kind::Item, 13) if signal == Signal::Traces => Kind::Link,
        (Kind::Item, 15) if signal == Signal::Traces => Kind::Status,
        (Kind::Item, 5) if signal == Signal::Logs => Kind::Value,
        (Kind::Item, 6) if signal == Signal::Logs => Kind::KeyValue,
        (Kind::Resource, 3) => Kind::EntityRef,
        (Kind::Resource, 1) | (Kind::Scope | Kind::Event, 3) | (Kind::Link, 4) => Kind::KeyValue,
        (Kind::KeyValue, 2) | (Kind::List, 1) => Kind::Value,
        (Kind::Value, 5) => Kind::List,
        (Kind::Value, 6) => Kind::Map,
        (Kind::Map, 1) => Kind::KeyValue,
        _ => return None,
    })
}

/// Rewrites a request of traces or logs that prost wrote: fields in another order, some twice, unknown
/// ones and groups between them, numbers in more bytes than they need; with `damage`, some
/// bytes are no longer what they were, and the result may be invalid.
pub fn scramble(signal: Signal, bytes: &[u8], seed: u64, damage: bool) -> Vec<u8> {
    let mut random = Random(seed);
    let mut bytes = rewrite(&mut random, Kind::Request, signal, bytes);
    if damage {
        for _ in 0..=random.below(3) {
            if bytes.is_empty() {
                break;
            }
            let at = random.below(bytes.len());
            match random.below(5) {
                0 => bytes.truncate(at),
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, random.below(256) as u8),
                3 => bytes[at] ^= 1 << random.below(8),
                _ => bytes[at] = random.below(256) as u8,
            }
        }
    }
    bytes
}

fn rewrite(random: &mut Random, kind: Kind, signal: Signal, bytes: &[u8]) -> Vec<u8> {
    let mut fields = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (key, value) = take_field(&mut rest);
        let mut field = Vec::new();
        put_varint(random, &mut field, key);
        if key & 7 == 2 {
            let value = match child(kind, key >> 3, signal) {
                Some(kind) => rewrite(random, kind, signal, value),
                None => value.to_vec(),
            };
            put_varint(random, &mut field, value.len() as u64);
            field.extend(value);
        } else {
            field.extend(value);
        }
        if random.one_in(40) {
            fields.push(field.clone());
        }
        fields.push(field);
    }
    if random.one_in(4) {
        for at in (1..fields.len()).rev() {
            fields.swap(at, random.below(at + 1));
        }
    }
    if random.one_in(10) {
        let at = random.below(fields.len() + 1);
        let mut field = Vec::new();
        put_unknown(random, &mut field, 0);
        fields.insert(at, field);
    }
    fields.concat()
}

/// A field that no message of OTLP has.
fn put_unknown(random: &mut Random, out: &mut Vec<u8>, depth: usize) {
    let tag = 100 + random.below(1000) as u64;
    match random.below(if depth < 4 { 6 } else { 4 }) {
        0 => {
            put_varint(random, out, tag << 3);
            let bits = random.below(64);
            put_varint(random, out, 1_u64 << bits);
        }
        1 => {
            put_varint(random, out, tag << 3 | 1);
            out.extend([0xff; 8]);
        }
        2 => {
            put_varint(random, out, tag << 3 | 2);
            out.extend([2, 0xff, 0]);
        }
        3 => {
            put_varint(random, out, tag << 3 | 5);
            out.extend([0x80; 4]);
        }
        _ => {
            put_varint(random, out, tag << 3 | 3);
            for _ in 0..random.below(3) {
                put_unknown(random, out, depth + 1);
            }
            put_varint(random, out, tag << 3 | 4);
        }
    }
}

/// A field of a message that prost wrote: its key, and its value without a length.
fn take_field<'a>(rest: &mut &'a [u8]) -> (u64, &'a [u8]) {
    let key = take_varint(rest);
    let length = match key & 7 {
        0 => rest.iter().take_while(|byte| **byte >= 0x80).count() + 1,
        1 => 8,
        2 => take_varint(rest) as usize,
        _ => 4,
    };
    let (value, after) = rest.split_at(length);
    *rest = after;
    (key, value)
}

fn take_varint(rest: &mut &[u8]) -> u64 {
    let length = rest.iter().take_while(|byte| **byte >= 0x80).count() + 1;
    let (number, after) = rest.split_at(length);
    *rest = after;
    number.iter().rev().fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f))
}

fn put_varint(random: &mut Random, out: &mut Vec<u8>, mut value: u64) {
    let mut length = 1;
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
        length += 1;
    }
    if random.one_in(50) {
        let zeroes = random.below(11 - length);
        if zeroes > 0 {
            out.push(value as u8 | 0x80);
            out.extend(std::iter::repeat_n(0x80, zeroes - 1));
            value = 0;
        }
    }
    out.push(value as u8);
}
