//! All that is done before the first child is started, so that most mistakes end nothing that runs.

use super::DevOptions;
use super::files::{self, Surroundings};
use super::fronts::Fronts;
use super::layout::{NodePlan, REGIONS_MAX, SPARES, layout, one_more, voters};
use super::pki::Ca;
use super::ports;
use super::state::{Layout, StateDir};
use super::wan::{WanProxy, default_matrix};
use crate::config::{default_route_ip, nearest};
use anyhow::{Context, bail};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use topology::model::Region;

/// What is ready before anything runs.
pub(crate) struct Prepared {
    pub(crate) options: DevOptions,
    pub(crate) state: StateDir,
    pub(crate) fronts: Fronts,
    pub(crate) plans: Vec<NodePlan>,
    /// The members of the topology service.
    pub(crate) voters: Vec<NodePlan>,
    pub(crate) media_ip: IpAddr,
    ca: Ca,
    first_spare: u32,
}

impl Prepared {
    /// Takes the state directory and the ports, and writes the files.
    pub(crate) fn new(options: DevOptions) -> anyhow::Result<Self> {
        check_regions(&options)?;
        let mut plans = layout(&options.regions, options.http_base);
        check_names(&options, &plans)?;
        let state = StateDir::take(&options.state_dir)?;
        choose_ports(&mut plans, options.http_base)?;
        let mut voters = voters(&options.regions);
        let free = ports::free_udp(voters.len())?;
        voters.iter_mut().zip(free).for_each(|(voter, port)| voter.port = port);
        let ca = files::write_shared(&state.at)?;
        for voter in &voters {
            files::write_voter(voter, &state.at, &ca, &options)?;
        }
        let matrix = default_matrix().context("round-trip times")?;
        let proxy = WanProxy::start(matrix, !options.wan).context("wide-area network emulation")?;
        let fronts = Fronts::new(proxy, options.wan, &options.regions);
        let first_spare = plans.len() as u32 + 1;
        let media_ip = default_route_ip();
        let mut prepared =
            Self { options, state, fronts, plans, voters, media_ip, ca, first_spare };
        for plan in prepared.plans.clone() {
            prepared.write(&plan)?;
        }
        Ok(prepared)
    }

    pub(crate) fn at(&self) -> &Layout {
        &self.state.at
    }

    /// The members of the topology service, that of `region` first.
    pub(crate) fn topology_of(&self, region: &str) -> Vec<SocketAddr> {
        let mut near: Vec<&NodePlan> = self.voters.iter().collect();
        near.sort_by_key(|voter| voter.region != region);
        near.iter().map(|v| SocketAddr::from((Ipv4Addr::LOCALHOST, v.port))).collect()
    }

    /// The plan of a process.
    pub(crate) fn plan(&self, name: &str) -> Option<&NodePlan> {
        self.plans.iter().chain(&self.voters).find(|p| p.name == name)
    }

    fn write(&mut self, plan: &NodePlan) -> anyhow::Result<()> {
        let spares = self.first_spare..self.first_spare + SPARES;
        let via = self.fronts.via(plan.id, &plan.region, &self.plans, spares)?;
        let with = Surroundings {
            at: &self.state.at,
            ca: &self.ca,
            options: &self.options,
            topology: self.topology_of(&plan.region),
            media_ip: self.media_ip,
            via,
        };
        files::write_node(plan, with)
    }

    /// Plans one more edge and writes its files.
    pub(crate) fn add_edge(&mut self, region: &str) -> anyhow::Result<NodePlan> {
        if !self.options.regions.iter().any(|r| r == region) {
            bail!("no region {region:?} here: choose one of {}", self.options.regions.join(", "));
        }
        let more = one_more(&self.plans, self.first_spare, region, self.options.http_base);
        let mut plan =
            more.with_context(|| format!("all {SPARES} spare node numbers are in use"))?;
        choose_ports(std::slice::from_mut(&mut plan), self.options.http_base)?;
        self.write(&plan)?;
        self.plans.push(plan.clone());
        Ok(plan)
    }
}

fn check_regions(options: &DevOptions) -> anyhow::Result<()> {
    let regions = &options.regions;
    if regions.is_empty() || regions.len() > REGIONS_MAX {
        bail!("give 1 to {REGIONS_MAX} regions with --regions");
    }
    for (at, region) in regions.iter().enumerate() {
        Region::new(region)?;
        if regions[..at].contains(region) {
            bail!("region {region} is given twice in --regions");
        }
    }
    if !options.wan {
        return Ok(());
    }
    let matrix = default_matrix().context("round-trip times")?;
    match regions.iter().find(|r| !matrix.regions().contains(r)) {
        None => Ok(()),
        Some(unknown) => {
            bail!(
                "no round-trip times for region {unknown:?}: choose from {}, or give --wan off",
                matrix.regions().join(", ")
            )
        }
    }
}

fn check_names(options: &DevOptions, plans: &[NodePlan]) -> anyhow::Result<()> {
    let names = || plans.iter().map(|p| p.name.as_str());
    for (name, _) in &options.wall_skew {
        if !names().any(|n| n == name) {
            let hint = nearest(name, names()).map(|n| format!("did you mean {n}?"));
            let hint = hint.unwrap_or_else(|| {
                format!("the nodes are {}", names().collect::<Vec<_>>().join(", "))
            });
            bail!("--wall-skew: no node {name:?}: {hint}");
        }
    }
    Ok(())
}

fn choose_ports(plans: &mut [NodePlan], base: u16) -> anyhow::Result<()> {
    if base == 0 {
        let free = ports::free_tcp(plans.len())?;
        plans.iter_mut().zip(free).for_each(|(plan, port)| plan.port = port);
        return Ok(());
    }
    plans.iter().try_for_each(|plan| ports::check(plan.port, &plan.name))
}
