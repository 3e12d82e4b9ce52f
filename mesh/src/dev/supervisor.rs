//! The supervisor: starts the children, reports what happens to them, carries out orders, and ends them.

use super::child::{Child, ChildEvent, Start};
use super::control::{self, Answer, Order, Refused};
use super::files::{OPERATOR, TRUST_DOMAIN, url};
use super::http::Http;
use super::layout::NodePlan;
use super::links::{self, LIFETIME};
use super::prepare::Prepared;
use super::record::{DevRecord, MeetingLinks, NodeStatus, RegionUrl};
use super::{DevOptions, banner, ports};
use crate::cli::Signals;
use crate::config::RoleName;
use crate::token::Grants;
use anyhow::{Context, bail};
use node_io::http::HttpServer;
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};
use topology::model::MeetingSpec;
use topology::protocol::{MembersRequest, Request};
use topology::service::{ClientConfig, TopologyClient, load_identity};

/// Children that are not ready by then will hardly be.
const START_LIMIT: Duration = Duration::from_secs(20);
/// How often a starting child is asked whether it is ready.
const ASK_EVERY: Duration = Duration::from_millis(25);
/// Children have this long to end by themselves: everything is over within 3 s.
const NODES_GRACE: Duration = Duration::from_millis(1_500);
const TOPOLOGY_GRACE: Duration = Duration::from_millis(700);
/// A child that dies is started again after this long.
const RESTART_AFTER: Duration = Duration::from_millis(500);
/// Orders that wait for the supervisor.
const ORDERS: usize = 32;

/// A child and how it stands.
struct Member {
    child: Option<Child>,
    state: String,
    ready: bool,
    /// Its end was ordered.
    ended_by_order: bool,
    /// Who waits for it to be ready.
    waiting: Vec<Answer>,
}

struct Dev {
    prepared: Prepared,
    members: BTreeMap<String, Member>,
    events: mpsc::UnboundedReceiver<ChildEvent>,
    event_sender: mpsc::UnboundedSender<ChildEvent>,
    http: Http,
    control: String,
    meeting: MeetingLinks,
    /// The banner has been shown.
    running: bool,
}

/// Runs everything until a signal or a failure. Must be called on the main thread (see [`Child::start`]).
pub(crate) async fn run(options: DevOptions) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let prepared = Prepared::new(options)?;
    let (event_sender, events) = mpsc::unbounded_channel();
    let (order_sender, orders) = mpsc::channel(ORDERS);
    let routes = control::router(order_sender, prepared.fronts.proxy());
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let server = HttpServer::start("the supervisor's API", any, routes).await?;
    let mut dev = Dev {
        prepared,
        members: BTreeMap::new(),
        events,
        event_sender,
        http: Http::new(),
        control: format!("http://{}", server.addr()),
        meeting: MeetingLinks { id: String::new(), token: String::new(), links: Vec::new() },
        running: false,
    };
    let ended = tokio::select! {
        ended = dev.live(orders) => ended,
        () = signals.next() => Ok(()),
    };
    tokio::select! {
        () = dev.stop() => {}
        () = signals.next() => banner::note("killing all nodes"),
    }
    // What is left is killed when `dev` is dropped.
    drop(dev);
    drop(server);
    ended
}

impl Dev {
    async fn live(&mut self, mut orders: mpsc::Receiver<Order>) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        for voter in self.prepared.voters.clone() {
            self.start(&voter.name, voter.role.as_str())?;
        }
        self.until_ready(deadline).await?;
        self.found_cluster().await?;
        for plan in self.prepared.plans.clone() {
            self.start(&plan.name, plan.role.as_str())?;
        }
        let topology = self.client()?;
        self.until_ready(deadline).await?;
        self.all_registered(&topology, deadline).await?;
        self.meeting = self.first_meeting(&topology).await?;
        let record = self.record();
        record.write(self.prepared.at())?;
        self.running = true;
        if self.prepared.options.json {
            banner::say(&serde_json::to_string(&record)?);
        } else {
            banner::say(&banner::text(&record));
        }
        self.warn_without_page(&record).await;
        let mut views = topology.watch();
        loop {
            tokio::select! {
                event = self.events.recv() => if let Some(event) = event { self.on_event(event).await? },
                Some(order) = orders.recv() => self.on_order(order),
                Ok(()) = views.changed() => {
                    let view = views.borrow_and_update().clone();
                    self.prepared.fronts.point(&view);
                }
            }
        }
    }

    /// Starts one child.
    fn start(&mut self, name: &str, command: &str) -> anyhow::Result<()> {
        let at = self.prepared.at();
        let (config, log) = (at.config(name), at.log(name));
        let start = Start { name, command, config: &config, log, show: true };
        let child = Child::start(start, self.event_sender.clone())?;
        self.ask_until_ready(name, child.pid);
        let state = "starting".to_owned();
        let waiting = self.members.remove(name).map(|m| m.waiting).unwrap_or_default();
        let member =
            Member { child: Some(child), state, ready: false, ended_by_order: false, waiting };
        self.members.insert(name.to_owned(), member);
        Ok(())
    }

    /// Tells when a child is ready.
    fn ask_until_ready(&self, name: &str, pid: u32) {
        let (name, events, http) = (name.to_owned(), self.event_sender.clone(), self.http.clone());
        let Some(plan) = self.prepared.plan(&name) else { return };
        let (role, port) = (plan.role, plan.port);
        let process = format!("/proc/{pid}");
        tokio::spawn(async move {
            // A child that has ended will not be ready; the number may be another's by now, but then an answer is, too.
            while std::path::Path::new(&process).exists() && !events.is_closed() {
                let ready = match role {
                    RoleName::Topology => ports::is_bound(ports::Protocol::Udp, port),
                    RoleName::Edge | RoleName::Origin => {
                        let answer = http.get(&format!("http://127.0.0.1:{port}/readyz")).await;
                        answer.is_ok_and(|(status, _)| status.is_success())
                    }
                };
                if ready {
                    let _ = events.send(ChildEvent::Ready(name));
                    return;
                }
                sleep(ASK_EVERY).await;
            }
        });
    }

    /// Until all that were started are ready.
    async fn until_ready(&mut self, deadline: Instant) -> anyhow::Result<()> {
        while self.members.values().any(|m| !m.ready) {
            match timeout_at(deadline, self.events.recv()).await {
                Ok(Some(event)) => self.on_event(event).await?,
                _ => bail!("{}", self.not_ready().await),
            }
        }
        Ok(())
    }

    async fn not_ready(&self) -> String {
        let mut missing = Vec::new();
        for (name, _) in self.members.iter().filter(|(_, m)| !m.ready) {
            let plan = self.prepared.plans.iter().find(|p| p.name == *name);
            let why = match plan {
                Some(plan) => self
                    .http
                    .get(&format!("http://127.0.0.1:{}/readyz", plan.port))
                    .await
                    .map(|(_, t)| t),
                None => Ok("its port is not bound".to_owned()),
            };
            let why = why.unwrap_or_else(|e| format!("{e:#}"));
            missing.push(format!("{name} ({})", why.trim()));
        }
        let logs = self.prepared.at().file("logs");
        format!(
            "not ready after {} s: {}; logs: {}",
            START_LIMIT.as_secs(),
            missing.join(", "),
            logs.display()
        )
    }

    /// Until the topology knows all nodes; then the fronts lead to them.
    async fn all_registered(
        &self,
        topology: &TopologyClient,
        deadline: Instant,
    ) -> anyhow::Result<()> {
        let mut views = topology.watch();
        let ids: Vec<_> = self.prepared.plans.iter().map(|p| p.id).collect();
        let complete =
            views.wait_for(|view| view.live && ids.iter().all(|id| view.node(*id).is_some()));
        match timeout_at(deadline, complete).await {
            Ok(Ok(view)) => self.prepared.fronts.point(&view),
            _ => bail!(
                "the topology service does not know all nodes after {} s",
                START_LIMIT.as_secs()
            ),
        }
        Ok(())
    }

    fn client(&self) -> anyhow::Result<TopologyClient> {
        let at = self.prepared.at();
        let identity = load_identity(&at.cert(OPERATOR), &at.key(OPERATOR), &at.ca())?;
        let addrs = self.prepared.topology_of("");
        let config = ClientConfig { addrs, identity, trust_domain: TRUST_DOMAIN.to_owned() };
        Ok(TopologyClient::connect(config)?)
    }

    /// Makes one cluster of the members of the topology service.
    async fn found_cluster(&self) -> anyhow::Result<()> {
        let others = self.prepared.topology_of("").split_off(1);
        let request = Request::Members(MembersRequest::Init { others });
        let founded = self.client()?.call_within(request, START_LIMIT).await;
        founded.map(drop).context("cannot found the topology service's cluster")
    }

    async fn first_meeting(&self, topology: &TopologyClient) -> anyhow::Result<MeetingLinks> {
        let spec = MeetingSpec { name: "mesh dev".to_owned(), ..MeetingSpec::default() };
        let meeting =
            topology.create_meeting(spec).await.context("cannot create the first meeting")?;
        let key = self.prepared.at().token_key();
        let token = links::token(&key, meeting.id, None, Grants::PARTICIPANT, LIFETIME)?;
        Ok(links::links(meeting.id, &token, &self.regions()))
    }

    /// The first edge of each region.
    fn regions(&self) -> Vec<RegionUrl> {
        let regions = self.prepared.options.regions.iter();
        let plans = &self.prepared.plans;
        let first = |region: &String| {
            plans.iter().find(|p| p.role == RoleName::Edge && p.region == *region)
        };
        regions
            .filter_map(|region| {
                first(region).map(|p| RegionUrl { region: region.clone(), url: url(p) + "/" })
            })
            .collect()
    }

    async fn warn_without_page(&self, record: &DevRecord) {
        if let Ok((_, page)) = self.http.get(&record.client).await
            && page.contains("built without the client page")
        {
            banner::note(
                "this binary was built without the client page: run `make web`, then build it again",
            );
        }
    }

    async fn on_event(&mut self, event: ChildEvent) -> anyhow::Result<()> {
        match event {
            ChildEvent::Ready(name) => {
                if let Some(member) = self.members.get_mut(&name).filter(|m| m.child.is_some()) {
                    (member.ready, member.state) = (true, "ready".to_owned());
                    let waiting = std::mem::take(&mut member.waiting);
                    self.answer(&name, waiting);
                }
                Ok(())
            }
            ChildEvent::Ended(name, status) => {
                let Some(member) = self.members.get_mut(&name) else { return Ok(()) };
                let words = member.child.take().map(|c| c.last_words()).unwrap_or_default();
                (member.ready, member.state) = (false, format!("ended ({status})"));
                let ordered = std::mem::take(&mut member.ended_by_order);
                for waiting in std::mem::take(&mut member.waiting) {
                    let last = words.last().cloned().unwrap_or_default();
                    let _ = waiting.send(Err(Refused(format!("{name} ended: {status}: {last}"))));
                }
                self.ended(&name, &status.to_string(), ordered, &words).await
            }
        }
    }

    /// A child has ended.
    async fn ended(
        &mut self,
        name: &str,
        status: &str,
        ordered: bool,
        words: &[String],
    ) -> anyhow::Result<()> {
        let log = self.prepared.at().log(name);
        if ordered {
            banner::note(&format!("{name} was killed, as ordered"));
        } else {
            banner::note(&format!(
                "{name} ended unexpectedly: {status}. Its last lines (all in {}):",
                log.display()
            ));
            words.iter().for_each(|line| banner::note(&format!("    {line}")));
        }
        if !self.running {
            let last = words.last().map_or("it logged nothing", String::as_str);
            bail!("{name} ended while starting: {status}: {last}");
        }
        let _ = self.record().write(self.prepared.at());
        if self.prepared.options.restart && !ordered {
            sleep(RESTART_AFTER).await;
            self.restart(name)?;
            banner::note(&format!("{name} is started again"));
        }
        Ok(())
    }

    fn restart(&mut self, name: &str) -> anyhow::Result<()> {
        let role = self.prepared.plan(name).map_or(RoleName::Topology, |p| p.role);
        self.start(name, role.as_str())
    }

    fn on_order(&mut self, order: Order) {
        match order {
            Order::Status(answer) => {
                let _ = answer.send(self.record());
            }
            Order::Kill(name, answer) => match self.members.get_mut(&name) {
                Some(member) if member.child.is_some() => {
                    member.ended_by_order = true;
                    if let Some(child) = &member.child {
                        child.signal(Signal::KILL);
                    }
                    self.answer(&name, vec![answer]);
                }
                found => {
                    let why = if found.is_some() { "has ended already" } else { "is not known" };
                    let _ = answer.send(Err(Refused(format!("{name} {why}: {}", self.names()))));
                }
            },
            Order::Start(name, answer) => match self.members.get(&name) {
                Some(member) if member.child.is_none() => {
                    let started = self.restart(&name);
                    self.answer_when_ready(&name, started, answer);
                }
                found => {
                    let why = if found.is_some() { "runs already" } else { "is not known" };
                    let _ = answer.send(Err(Refused(format!("{name} {why}: {}", self.names()))));
                }
            },
            Order::AddEdge(region, answer) => match self.prepared.add_edge(&region) {
                Ok(plan) => {
                    let started = self.start(&plan.name, plan.role.as_str());
                    self.answer_when_ready(&plan.name, started, answer);
                }
                Err(error) => {
                    let _ = answer.send(Err(Refused(format!("{error:#}"))));
                }
            },
        }
        let _ = self.record().write(self.prepared.at());
    }

    fn answer_when_ready(&mut self, name: &str, started: anyhow::Result<()>, answer: Answer) {
        match (started, self.members.get_mut(name)) {
            (Ok(()), Some(member)) => member.waiting.push(answer),
            (Err(error), _) => {
                let _ = answer.send(Err(Refused(format!("{error:#}"))));
            }
            (Ok(()), None) => {}
        }
    }

    fn answer(&self, name: &str, waiting: Vec<Answer>) {
        let _ = self.record().write(self.prepared.at());
        for answer in waiting {
            let known = self.prepared.plan(name).map(|plan| self.status(plan));
            let _ = answer.send(known.ok_or_else(|| Refused(format!("{name} is not known"))));
        }
    }

    fn names(&self) -> String {
        let all = self.prepared.plans.iter().chain(&self.prepared.voters);
        let names: Vec<_> = all.map(|p| p.name.as_str()).collect();
        format!("the nodes are {}", names.join(", "))
    }

    fn status(&self, plan: &NodePlan) -> NodeStatus {
        let member = self.members.get(&plan.name);
        let at = self.prepared.at();
        NodeStatus {
            pid: member.and_then(|m| m.child.as_ref()).map(|c| c.pid),
            state: member.map_or("planned", |m| m.state.as_str()).to_owned(),
            url: url(plan),
            metrics: match plan.role {
                RoleName::Topology => String::new(),
                RoleName::Edge | RoleName::Origin => format!("{}/metrics", url(plan)),
            },
            log: at.log(&plan.name),
            config: at.config(&plan.name),
            plan: plan.clone(),
        }
    }

    fn record(&self) -> DevRecord {
        let regions = self.regions();
        DevRecord {
            client: regions.first().map(|r| r.url.clone()).unwrap_or_default(),
            regions,
            meeting: self.meeting.clone(),
            nodes: self.prepared.plans.iter().map(|p| self.status(p)).collect(),
            wan: self.prepared.fronts.round_trips(),
            control: self.control.clone(),
            topology: self.prepared.topology_of(""),
            voters: self.prepared.voters.iter().map(|v| self.status(v)).collect(),
            trust_domain: TRUST_DOMAIN.to_owned(),
            state_dir: self.prepared.at().dir().to_owned(),
            pid: std::process::id(),
            media_ip: self.prepared.media_ip,
        }
    }

    /// Ends all children: nodes first, so that they can say goodbye to the topology.
    async fn stop(&mut self) {
        let voters: Vec<String> = self.prepared.voters.iter().map(|v| v.name.clone()).collect();
        self.end(|name| !voters.iter().any(|v| v == name), NODES_GRACE).await;
        self.end(|_| true, TOPOLOGY_GRACE).await;
        let _ = std::fs::remove_file(self.prepared.at().record());
    }

    async fn end(&mut self, which: impl Fn(&str) -> bool, grace: Duration) {
        for signal in [Signal::TERM, Signal::KILL] {
            let running = |m: &BTreeMap<String, Member>| {
                m.iter().any(|(name, member)| which(name) && member.child.is_some())
            };
            for (_, member) in self.members.iter().filter(|(name, _)| which(name)) {
                if let Some(child) = &member.child {
                    child.signal(signal);
                }
            }
            let deadline = Instant::now() + grace;
            while running(&self.members) {
                match timeout_at(deadline, self.events.recv()).await {
                    Ok(Some(ChildEvent::Ended(name, _))) => {
                        if let Some(member) = self.members.get_mut(&name) {
                            member.child = None;
                        }
                    }
                    Ok(Some(ChildEvent::Ready(_))) => {}
                    Ok(None) | Err(_) => break,
                }
            }
        }
    }
}
