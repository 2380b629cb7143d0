/** What the tables of this folder are run on: both runtimes, Go libraries with each release of Envoy's SDK that has the bridge. */
export const columns = [
  { name: 'script', runtime: 'script', sdk: undefined },
  { name: 'Go, SDK v1.36.2', runtime: 'go', sdk: 'v1.36.2' },
  { name: 'Go, SDK v1.37.0', runtime: 'go', sdk: 'v1.37.0' },
] as const;
