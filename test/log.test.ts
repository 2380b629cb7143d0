import { expect } from 'chai';
import { createLogging, type LogLevel } from '../src/log.js';

describe('log levels', () => {
  it('are told to those who watch a component, at once and when they change', () => {
    const logging = createLogging('off');
    const seen: LogLevel[] = [];
    logging.watchLevel('golang', (level) => seen.push(level));
    logging.setLevel('debug', 'golang');
    logging.logger('other');
    logging.setLevel('error', 'other');
    logging.setLevel('info');
    expect(seen).to.deep.equal(['off', 'debug', 'info']);
  });
});
