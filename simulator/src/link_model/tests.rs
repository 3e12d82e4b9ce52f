//! The model against its closed forms.

use super::*;
use proptest::prelude::*;

const MS: Duration = Duration::from_millis(1);

fn arrivals(
    link: &mut LinkModel,
    count: u32,
    every: Duration,
    bytes: usize,
) -> Vec<Option<Duration>> {
    (0..count)
        .map(|i| match link.offer(every * i, bytes) {
            Verdict::Deliver(at) => Some(at),
            Verdict::Drop(_) => None,
        })
        .collect()
}

#[test]
fn a_perfect_path_delivers_at_once() {
    let mut link = LinkModel::new(LinkParams::default(), 1);
    assert_eq!(link.offer(MS, 1_200), Verdict::Deliver(MS));
}

#[test]
fn delay_is_exact_to_the_nanosecond() {
    let mut link = LinkModel::new(LinkParams::delay(Duration::from_micros(34_800)), 1);
    let now = Duration::from_nanos(123_456_789);
    assert_eq!(link.offer(now, 100), Verdict::Deliver(now + Duration::from_micros(34_800)));
}

#[test]
fn jitter_adds_half_its_bound_on_average() {
    let params = LinkParams { delay_us: 50_000, jitter_us: 10_000, ..LinkParams::default() };
    let (count, every) = (20_000, 20 * MS);
    let mut link = LinkModel::new(params, 7);
    let extra: Vec<f64> = arrivals(&mut link, count, every, 100)
        .iter()
        .enumerate()
        .filter_map(|(i, at)| at.map(|at| (at - every * i as u32).as_secs_f64() - 0.05))
        .collect();
    let mean = extra.iter().sum::<f64>() / extra.len() as f64;
    // A uniform spread of 10 ms has a deviation of 2.89 ms: five standard errors of 20,000 samples are 0.1 ms.
    assert!((mean - 0.005).abs() < 0.000_1, "{mean}");
    assert!(extra.iter().all(|e| (-1e-9..=0.010_000_1).contains(e)));
}

#[test]
fn random_loss_is_its_probability() {
    let (p, n) = (0.01, 200_000);
    let mut link =
        LinkModel::new(LinkParams { loss: Loss::Random { p }, ..LinkParams::default() }, 3);
    arrivals(&mut link, n, MS, 100);
    let share = link.counters().lost as f64 / f64::from(n);
    let error = (p * (1.0 - p) / f64::from(n)).sqrt();
    assert!((share - p).abs() < 4.0 * error, "{share}");
}

#[test]
fn burst_loss_is_the_chains_steady_state() {
    let loss =
        Loss::GilbertElliott { to_bad: 0.005, to_good: 0.2, loss_good: 0.001, loss_bad: 0.6 };
    let n = 1_000_000_u32;
    let mut link = LinkModel::new(LinkParams { loss, ..LinkParams::default() }, 4);
    let fates = arrivals(&mut link, n, MS, 100);
    let (p, share) = (loss.mean(), link.counters().lost as f64 / f64::from(n));
    // Losses of a chain are correlated: its second eigenvalue 1 - 0.005 - 0.2 widens the interval.
    let eigen = 1.0 - 0.205;
    let error = (p * (1.0 - p) / f64::from(n) * (1.0 + eigen) / (1.0 - eigen)).sqrt();
    assert!((share - p).abs() < 4.0 * error, "{share} instead of {p}");
    let after_loss = fates.windows(2).filter(|w| w[0].is_none()).count();
    let both = fates.windows(2).filter(|w| w[0].is_none() && w[1].is_none()).count();
    assert!(both as f64 / after_loss as f64 > 10.0 * p, "losses come in bursts");
}

#[test]
fn a_bottleneck_sends_at_its_rate_without_drifting() {
    // 1,500 bytes at 7 Mbit/s take 1,714,285.71 ns: the fraction must not get lost.
    let params =
        LinkParams { rate_bps: 7_000_000, queue: Queue::Ms(1_000_000), ..LinkParams::default() };
    let mut link = LinkModel::new(params, 1);
    let last = arrivals(&mut link, 7_000, Duration::ZERO, 1_500).last().copied().flatten();
    assert_eq!(last, Some(Duration::from_secs(12)));
}

#[test]
fn an_idle_bottleneck_saves_nothing_up() {
    let params = LinkParams { rate_bps: 8_000, ..LinkParams::default() };
    let mut link = LinkModel::new(params, 1);
    assert_eq!(
        link.offer(Duration::from_secs(5), 10),
        Verdict::Deliver(Duration::from_millis(5_010))
    );
}

#[test]
fn a_full_queue_drops_the_newest() {
    // 1,000 bytes take 1 ms; 4,000 bytes may wait.
    let params =
        LinkParams { rate_bps: 8_000_000, queue: Queue::Bytes(4_000), ..LinkParams::default() };
    let mut link = LinkModel::new(params, 1);
    let fates = arrivals(&mut link, 6, Duration::ZERO, 1_000);
    assert_eq!(fates, [Some(MS), Some(2 * MS), Some(3 * MS), Some(4 * MS), None, None]);
    assert_eq!(link.counters().queue_dropped, 2);
    assert_eq!(
        link.offer(MS, 1_000),
        Verdict::Deliver(5 * MS),
        "a millisecond later there is room again"
    );
}

#[test]
fn a_path_that_is_down_delivers_nothing_until_it_is_up() {
    let mut link = LinkModel::new(LinkParams { down: true, ..LinkParams::default() }, 1);
    assert_eq!(link.offer(MS, 1), Verdict::Drop(LinkDrop::Down));
    link.set_params(LinkParams::default());
    assert_eq!(link.offer(MS, 1), Verdict::Deliver(MS));
}

#[test]
fn a_shorter_delay_does_not_let_packets_overtake() {
    let mut link = LinkModel::new(LinkParams::delay(100 * MS), 1);
    link.offer(Duration::ZERO, 1);
    link.set_params(LinkParams::delay(10 * MS));
    assert_eq!(link.offer(MS, 1), Verdict::Deliver(100 * MS));
}

#[test]
fn loss_can_be_certain_or_impossible() {
    for (p, lost) in [(0.0, 0), (1.0, 1_000), (7.0, 1_000), (f64::NAN, 0)] {
        let params = LinkParams { loss: Loss::Random { p }, ..LinkParams::default() };
        let mut link = LinkModel::new(params, 9);
        arrivals(&mut link, 1_000, MS, 1);
        assert_eq!(link.counters().lost, lost, "{p}");
    }
}

fn any_loss() -> impl Strategy<Value = Loss> {
    prop_oneof![
        Just(Loss::None),
        (0.0..1.0).prop_map(|p| Loss::Random { p }),
        (0.0..1.0, 0.0..1.0, 0.0..0.1, 0.0..1.0).prop_map(
            |(to_bad, to_good, loss_good, loss_bad)| {
                Loss::GilbertElliott { to_bad, to_good, loss_good, loss_bad }
            }
        ),
    ]
}

prop_compose! {
    fn any_params()(
        delay_us in 0..500_000_u64, jitter_us in 0..100_000_u64, loss in any_loss(),
        rate_bps in prop_oneof![Just(0), 1..1_000_000_000_u64],
        queue in prop_oneof![(0..100_000_u64).prop_map(Queue::Bytes), (0..500_u64).prop_map(Queue::Ms)],
    ) -> LinkParams {
        LinkParams { delay_us, jitter_us, loss, rate_bps, queue, down: false }
    }
}

proptest! {
    #[test]
    fn every_packet_is_accounted_for_in_order_and_in_time(
        params in any_params(), seed: u64, gaps in prop::collection::vec((0..5_000_u64, 1..1_500_usize), 1..200),
    ) {
        let (mut link, mut twin) = (LinkModel::new(params, seed), LinkModel::new(params, seed));
        let (mut now, mut last) = (Duration::ZERO, Duration::ZERO);
        for (gap_us, bytes) in gaps {
            now += Duration::from_micros(gap_us);
            let verdict = link.offer(now, bytes);
            prop_assert_eq!(verdict, twin.offer(now, bytes), "the seed decides");
            if let Verdict::Deliver(at) = verdict {
                prop_assert!(at >= now + Duration::from_micros(params.delay_us));
                prop_assert!(at >= last, "no packet overtakes");
                last = at;
            }
        }
        prop_assert!(link.counters().conserved());
    }

    #[test]
    fn a_bottleneck_never_exceeds_its_rate(
        rate_bps in 1_000..100_000_000_u64, sizes in prop::collection::vec(1..1_500_usize, 1..100),
    ) {
        let params = LinkParams { rate_bps, queue: Queue::Ms(1_000_000), ..LinkParams::default() };
        let mut link = LinkModel::new(params, 0);
        let mut bits = 0_u128;
        for bytes in sizes {
            bits += bytes as u128 * 8;
            let Verdict::Deliver(at) = link.offer(Duration::ZERO, bytes) else { panic!("delivered") };
            let exact_ns = bits * 1_000_000_000 / u128::from(rate_bps);
            prop_assert_eq!(at.as_nanos(), exact_ns);
        }
    }
}
