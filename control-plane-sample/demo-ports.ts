import { createServer } from 'node:net';

/** The ports of `npm start`, all on 127.0.0.1. They are those of bootstrap.yaml and the files in resources/. */
export const defaultPorts = {
  listenerPort: 10_000,
  adminPort: 9901,
  xdsPort: 18_000,
  httpPort: 18_001,
  server1Port: 19_001,
  server2Port: 19_002,
};
export type PortName = keyof typeof defaultPorts;
export type Ports = Readonly<Record<PortName, number>>;

const owners: Readonly<Record<PortName, string>> = {
  listenerPort: "Pontoon's HTTP listener",
  adminPort: "Pontoon's admin interface",
  xdsPort: 'the control plane',
  httpPort: "the control plane's HTTP API",
  server1Port: 'the first TCP server',
  server2Port: 'the second TCP server',
};

const names = Object.keys(defaultPorts) as PortName[];

/** YAML with other ports in the places of the default ones. */
export function withPorts(yaml: string, ports: Ports): string {
  return yaml.replaceAll(/port_value: (\d+)/g, (text, found: string) => {
    const name = names.find((each) => defaultPorts[each] === Number(found));
    return name === undefined ? text : `port_value: ${ports[name]}`;
  });
}

/** A line for each port that can't be had, with what to do. Looked at before anything starts, so that one line says it all. */
export async function takenPorts(ports: Ports): Promise<string[]> {
  const lines: string[] = [];
  for (const name of names) {
    const port = ports[name];
    const problem = await bindingProblem(port);
    if (problem === undefined) continue;
    const flag = `--${name.replace('Port', '-port')}`;
    const what =
      problem === 'EADDRINUSE' ? 'is taken: end the program that has it' : `can't be used (${problem}): free it`;
    lines.push(`port ${port} for ${owners[name]} ${what}, or choose another: npm start -- ${flag} 0`);
  }
  return lines;
}

function bindingProblem(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(undefined)));
  });
}
