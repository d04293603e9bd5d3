use super::*;

fn founders(count: usize) -> Vec<Founder> {
    (0..count).map(|i| Founder::new(format!("n{i}"), format!("host{i}:7000"))).collect()
}

#[test]
fn founds() {
    for n in [1, 2, 3, 12] {
        let ring = Ring::found("c", &founders(n)).unwrap();
        assert!(ring.replicas(Token(5), 3).len() == n.min(3));
        let more = ring.with_member(Founder::new("x", "x:1")).unwrap();
        assert_eq!(more.members().last().unwrap().tokens.len(), 150);
    }
}
