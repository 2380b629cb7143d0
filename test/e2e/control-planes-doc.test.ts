import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { loadBootstrap } from '../../src/bootstrap/load.js';
import { bootstrapReport } from '../../src/bootstrap/report.js';
import { loadSchema } from '../../src/protobuf/schema.js';
import { createAuthority } from '../support/certificates.js';

const document = readFileSync(new URL('../../../docs/control-planes.md', import.meta.url), 'utf8');

/** Heading → its bootstrap. */
const bootstraps = document
  .split(/^## /m)
  .map(
    (section) =>
      [section.slice(0, section.indexOf('\n')), /^```yaml\n(node:[\s\S]*?)^```/m.exec(section)?.[1]] as const,
  )
  .filter((entry): entry is readonly [string, string] => entry[1] !== undefined);

describe('docs/control-planes.md', () => {
  it('has a bootstrap for each', () => {
    expect(bootstraps.map(([title]) => title)).to.deep.equal([
      'go-control-plane',
      'Istio',
      'Consul',
      'Kuma',
      'Envoy Gateway',
    ]);
  });
  for (const [title, yaml] of bootstraps)
    it(`has a bootstrap that is good as it stands, once its files are there: ${title}`, () => {
      const folder = mkdtempSync(join(tmpdir(), 'pontoon-docs-'));
      let files = 0;
      const present = (path: string) => {
        const file = join(folder, `${files++}-${path.slice(path.lastIndexOf('/') + 1)}`);
        writeFileSync(file, createAuthority().cert);
        return file;
      };
      const yamlText = yaml.replace(
        /(filename|path): (\/[^\s}]+)/g,
        (_, field, path: string) => `${field}: ${present(path)}`,
      );
      const loaded = loadBootstrap({ schema: loadSchema(), yamlText });
      expect(bootstrapReport(loaded)).to.deep.equal([]);
      expect(loaded.ok && loaded.bootstrap.ads?.variant).to.equal('DELTA');
      rmSync(folder, { recursive: true });
    });
});
