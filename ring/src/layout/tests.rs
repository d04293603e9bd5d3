use super::*;

fn pair() -> Vec<Founder> {
    vec![Founder::new("a", "10.0.0.1:7000").in_rack("east"), Founder::new("b", "[::1]:7000")]
}

#[test]
fn ids_follow_the_names() {
    let reversed: Vec<_> = pair().into_iter().rev().collect();
    let layout = Layout::found("c", &reversed).unwrap();
    let ids: Vec<_> = layout.members.iter().map(|m| (m.id.0, m.name.as_str(), m.rack.as_str())).collect();
    assert_eq!(ids, [(1, "a", "east"), (2, "b", "")]);
    assert_eq!((layout.epoch, layout.next_id), (Layout::FOUNDING_EPOCH, NodeId(3)));
}

#[test]
fn the_cluster_id_tells_what_places_keys() {
    let id = |name: &str, change: &dyn Fn(&mut Vec<Founder>)| {
        let mut founders = pair();
        change(&mut founders);
        Layout::found(name, &founders).unwrap().cluster
    };
    let same = id("c", &|_| ());
    assert_eq!(id("c", &|f| f[0].address = "other:1".to_owned()), same);
    let others = [
        id("d", &|_| ()),
        id("c", &|f| f[0].name = "z".to_owned()),
        id("c", &|f| f[0].rack = "west".to_owned()),
        id("c", &|f| f[0].weight = 101),
        id("c", &|f| f.truncate(1)),
    ];
    assert!(others.iter().all(|&other| other != same));
}

#[test]
fn mistakes_in_the_founders_list_are_named() {
    let refused = |change: &dyn Fn(&mut Vec<Founder>)| {
        let mut founders = pair();
        change(&mut founders);
        Layout::found("c", &founders).unwrap_err().to_string()
    };
    assert_eq!(refused(&|f| f.clear()), "a cluster needs at least one member");
    assert_eq!(refused(&|f| f[1].name = "a".to_owned()), "two nodes are named 'a'");
    assert_eq!(
        refused(&|f| f[1].address = "10.0.0.1:7000".to_owned()),
        "nodes 'a' and 'b' have the same address 10.0.0.1:7000"
    );
    for (name, word) in [("", "''"), ("a b", "'a b'"), ("é", "'é'"), (&"x".repeat(65), "xxx")] {
        assert!(refused(&|f| f[1].name = name.to_owned()).contains(word));
    }
    for address in ["", "host", "host:", ":7000", "host:0", "host:65536", "ho st:7000"] {
        let expected = format!("node 'b': '{address}' is not an address of the form host:port");
        assert_eq!(refused(&|f| f[1].address = address.to_owned()), expected);
    }
    assert!(refused(&|f| f[1].rack = "a/b".to_owned()).starts_with("node 'b': 'a/b' is not a rack"));
    for weight in [0, 1_001] {
        assert!(
            refused(&|f| f[1].weight = weight).starts_with(&format!("node 'b': weight {weight} is not in"))
        );
    }
    assert!(matches!(Layout::found("", &pair()), Err(RingError::BadName(_))));
}

#[test]
fn clusters_have_a_greatest_size() {
    let founders: Vec<_> =
        (0..=Layout::MEMBERS_MAX).map(|i| Founder::new(format!("n{i}"), format!("h{i}:1"))).collect();
    assert!(matches!(Layout::found("c", &founders), Err(RingError::TooManyMembers { .. })));
}
