// An ECMAScript module: its functions are told by a URL.
export function fromModule(here) {
  return exported(here);
}

const exported = (here) => {
  class Local {
    static run() { return here(); }
  }
  return Local.run();
};
