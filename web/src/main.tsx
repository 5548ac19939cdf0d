import './styles/tokens.css';
import './styles/base.css';
import { render } from 'preact';
import { App } from './App';
import { startRouter } from './router';
import { startShortcuts } from './shell/shortcuts';

const root = document.getElementById('app');
if (root === null) throw new Error('index.html has no #app');
startRouter();
startShortcuts();
render(<App />, root);
