//! Page faults: the kernel side of them alone.

use std::os::fd::AsFd as _;

use aya::{
    maps::{HashMap, MapData, MapError, PerCpuArray, RingBuf},
    programs::PerfEvent,
};
use tracer_common::fault::{FaultCpu, FaultSpace};

use super::{Kernel, KernelTypes, ProbeError, chain, map_error, no_map, object};
use crate::probe::{
    faults::{self, FaultLimits},
    programs::Programs,
    sys,
};

impl Kernel {
    /// Loads what samples page faults, and nothing else; it is not attached yet.
    pub fn load_faults(types: &KernelTypes, limits: &FaultLimits) -> Result<Self, ProbeError> {
        let (ebpf, rounds) = faults::load(types, limits)?;
        Ok(Self {
            ebpf,
            programs: Programs::none(),
            rounds,
            attached: Vec::new(),
            releasing: Vec::new(),
            socket_calls: None,
        })
    }

    /// Samples the page faults of every process from now on.
    pub fn attach_faults(&mut self) -> Result<(), ProbeError> {
        faults::attach(&mut self.ebpf, self.rounds)
    }

    /// The samples; take them once.
    pub fn take_faults(&mut self) -> Result<RingBuf<MapData>, ProbeError> {
        self.take_ring("FAULTS")
    }

    /// Names the process whose tables were told under a number.
    pub fn set_fault_space(&mut self, tgid: u32, space: &FaultSpace) -> Result<(), ProbeError> {
        let mut map: HashMap<_, u32, FaultSpace> = self.map_mut("FAULT_SPACES")?;
        map.insert(tgid, space, 0)
            .map_err(|error| map_error("FAULT_SPACES", &error))
    }

    /// Its frames are followed by their frame pointers again.
    pub fn forget_fault_space(&mut self, tgid: u32) -> Result<(), ProbeError> {
        let mut map: HashMap<_, u32, FaultSpace> = self.map_mut("FAULT_SPACES")?;
        match map.remove(&tgid) {
            Ok(()) | Err(MapError::KeyNotFound) => Ok(()),
            Err(error) => Err(map_error("FAULT_SPACES", &error)),
        }
    }

    /// Forgets the JavaScript functions of a process that has ended.
    pub fn forget_functions(&mut self, space: u32) -> Result<(), ProbeError> {
        let mut map: HashMap<_, u64, u64> = self.map_mut("FUNCTIONS")?;
        let is_its = |key: &u64| tracer_common::javascript::FunctionKey(*key).space() == space;
        let keys: Vec<u64> = map.keys().flatten().filter(is_its).collect();
        for key in keys {
            match map.remove(&key) {
                Ok(()) | Err(MapError::KeyNotFound) => {}
                Err(error) => return Err(map_error("FUNCTIONS", &error)),
            }
        }
        Ok(())
    }

    /// What every processor's program keeps.
    pub fn fault_cpus(&self) -> Result<Vec<FaultCpu>, ProbeError> {
        const NAME: &str = "FAULT_CPUS";
        let map = self.ebpf.map(NAME).ok_or_else(|| no_map(NAME))?;
        let map: PerCpuArray<_, FaultCpu> =
            map.try_into().map_err(|error| map_error(NAME, &error))?;
        let values = map.get(&0, 0).map_err(|error| map_error(NAME, &error))?;
        Ok(values.iter().copied().collect())
    }

    /// What the kernel knows of the runs of the program on page faults.
    pub fn run_statistics_of_faults(&mut self) -> Result<sys::ProgramRun, ProbeError> {
        let name = faults::symbol(self.rounds);
        let failed = |reason: String| ProbeError::Load(format!("{name}: {reason}"));
        let program: &mut PerfEvent = object::program(&mut self.ebpf, name)?;
        let fd = program.fd().map_err(|error| failed(chain(&error)))?;
        sys::program_run(fd.as_fd()).map_err(|error| failed(error.to_string()))
    }
}
