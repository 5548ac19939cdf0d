//! Which route handles a request: told by the routes themselves as they are about to.

use super::library::Style;
use super::request::Request;
use crate::capi;
use crate::engine;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

/// A route of Starlette's or FastAPI's handles the request of the scope.
#[pyfunction]
fn asgi_route(route: &Bound<'_, PyAny>, scope: &Bound<'_, PyAny>) {
    let py = route.py();
    let Some(request) = Request::of_scope(scope) else { return };
    engine::guard(py, "asgi route", || {
        let Ok(scope) = scope.cast::<PyDict>() else { return Ok(()) };
        // A route of an included router has its whole path in the inclusion.
        let included = included(route, scope)?;
        let route = included.as_ref().unwrap_or(route);
        let Some(path) = text(route, intern!(py, "path"))? else { return Ok(()) };
        let format = text(route, intern!(py, "path_format"))?;
        request.get().matched(py, scope, &path, format.as_deref())
    });
}

/// A mount of Starlette's handles the request of the scope.
#[pyfunction]
fn asgi_mount(mount: &Bound<'_, PyAny>, scope: &Bound<'_, PyAny>) {
    let py = mount.py();
    let Some(request) = Request::of_scope(scope) else { return };
    engine::guard(py, "asgi mount", || {
        let Ok(scope) = scope.cast::<PyDict>() else { return Ok(()) };
        let Some(path) = text(mount, intern!(py, "path"))? else { return Ok(()) };
        let request = request.get();
        if !path.is_empty() {
            request.matched(py, scope, &path, Some(&path))?;
        }
        if let Some(mut state) = request.state.open(py) {
            state.mounts.push_str(&path);
        }
        Ok(())
    });
}

/// Quart has matched a request: `request` is its request or WebSocket.
#[pyfunction]
fn asgi_rule(request: &Bound<'_, PyAny>) {
    let py = request.py();
    engine::guard(py, "asgi rule", || {
        let Some(ours) = Request::of_scope(&request.getattr(intern!(py, "scope"))?) else {
            return Ok(());
        };
        let rule = request.getattr(intern!(py, "url_rule"))?;
        if !rule.is_none()
            && let Some(rule) = text(&rule, intern!(py, "rule"))?
        {
            ours.get().set_route(py, rule.clone(), Some(rule));
        }
        Ok(())
    });
}

/// Quart's app has not handled an exception: it will be answered with an error.
#[pyfunction]
fn asgi_exception(request: &Bound<'_, PyAny>, exception: &Bound<'_, PyAny>) {
    let py = request.py();
    engine::guard(py, "asgi exception", || {
        match Request::of_scope(&request.getattr(intern!(py, "scope"))?) {
            Some(ours) => ours.get().note_exception(py, exception),
            None => Ok(()),
        }
    });
}

impl Request {
    /// A route with that path has matched, below the mounts that have.
    fn matched(
        &self,
        py: Python<'_>,
        scope: &Bound<'_, PyDict>,
        path: &str,
        format: Option<&str>,
    ) -> PyResult<()> {
        let root_path = root_path(scope)?;
        let Some((route, target)) = self.state.open(py).map(|mut state| {
            let root_path = state.root_path.get_or_insert(root_path).clone();
            let target = format.map(|format| format!("{root_path}{}{format}", state.mounts));
            (format!("{}{path}", state.mounts), target)
        }) else {
            return Ok(());
        };
        self.set_route(py, route, target);
        Ok(())
    }
}

/// What the server has cut off the path.
fn root_path(scope: &Bound<'_, PyDict>) -> PyResult<String> {
    let py = scope.py();
    for key in [intern!(py, "app_root_path"), intern!(py, "root_path")] {
        if let Some(path) = scope.get_item(key)? {
            return Ok(capi::utf8(&path).unwrap_or_default().to_owned());
        }
    }
    Ok(String::new())
}

/// The inclusion (`include_router`) through which FastAPI came to a route.
fn included<'py>(
    route: &Bound<'py, PyAny>,
    scope: &Bound<'py, PyDict>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = route.py();
    let Some(own) = scope.get_item(intern!(py, "fastapi"))? else { return Ok(None) };
    let Ok(own) = own.cast::<PyDict>() else { return Ok(None) };
    let Some(context) = own.get_item(intern!(py, "effective_route_context"))? else {
        return Ok(None);
    };
    let is_of_route = context
        .getattr_opt(intern!(py, "original_route"))?
        .is_some_and(|original| original.is(route));
    Ok(is_of_route.then_some(context))
}

fn text(object: &Bound<'_, PyAny>, name: &Bound<'_, PyString>) -> PyResult<Option<String>> {
    let value = object.getattr_opt(name)?;
    Ok(value.as_ref().and_then(capi::utf8).map(str::to_owned))
}

/// Where middleware answers before any route is asked: the route that would have matched, as the
/// official packages look it up before every request.
pub(super) fn find_late(request: &Request, py: Python<'_>) -> PyResult<()> {
    let is_known = request.state.open(py).is_none_or(|state| state.route.is_some());
    let style = request.library.get().style;
    if is_known || !matches!(style, Style::Starlette | Style::FastApi) {
        return Ok(());
    }
    let Some(scope) = request.scope(py) else { return Ok(()) };
    // A router that has looked for a route has left its mark.
    if scope.contains(intern!(py, "router"))? {
        return Ok(());
    }
    let Some(app) = scope.get_item(intern!(py, "app"))? else { return Ok(()) };
    let found = py
        .import(intern!(py, "carafe_engine.instrument.starlette"))?
        .call_method1(intern!(py, "find_route"), (app, &scope))?;
    if let Ok((path, format)) = found.extract::<(String, Option<String>)>() {
        request.matched(py, &scope, &path, format.as_deref())?;
    }
    Ok(())
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(asgi_route, module)?)?;
    module.add_function(wrap_pyfunction!(asgi_mount, module)?)?;
    module.add_function(wrap_pyfunction!(asgi_rule, module)?)?;
    module.add_function(wrap_pyfunction!(asgi_exception, module)?)
}
