//! Where images come from: registries with passwords, files, and which are refused.

use std::fs;
use std::io::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::support::images::{Images, PASSWORD, Registry, USER, add, archive};
use crate::support::program::server;
use crate::support::{FIRST, Host, Kind, NEXT, Phase, Run, Server, eventually, free_port};

/// In Go's terms.
const HERE: &str = match std::env::consts::ARCH.as_bytes() {
    b"aarch64" => "arm64",
    _ => "amd64",
};
const ELSEWHERE: &str = match HERE.as_bytes() {
    b"arm64" => "amd64",
    _ => "arm64",
};

/// An image that only a registry with a password has, and who removes it from the engine in the end.
fn in_a_registry(host: &Host) -> (Images, Registry, String) {
    let images = Images::of(host);
    let registry = Registry::start(host);
    let image = format!("{}/{}:1", registry.host(), host.name());
    images.load(archive(&image, HERE, host.name().as_bytes()));
    registry.push(&images, &image);
    images.forget();
    (images, registry, image)
}

/// Writes what `docker login` leaves.
fn log_in(host: &Host, registry: &str, password: &str) {
    let auth = BASE64_STANDARD.encode(format!("{USER}:{password}"));
    configure(
        host,
        &format!(r#"{{"auths": {{"{registry}": {{"auth": "{auth}"}}}}}}"#),
    );
}

fn configure(host: &Host, config: &str) {
    fs::create_dir_all(host.path("home/.docker")).unwrap();
    host.at_home(".docker/config.json", config);
}

fn says_no_secret(run: &Run) {
    let story = run.story();
    let encoded = BASE64_STANDARD.encode(format!("{USER}:{PASSWORD}"));
    for secret in [PASSWORD, &encoded, &encoded[..encoded.len() - 4]] {
        assert!(!story.contains(secret), "{story}");
    }
}

/// What is only known when the image is asked for costs no gap, and no build where it is known in time.
fn refused<'a>(run: &'a Run, code: &str) -> &'a str {
    assert_eq!(
        (run.code, run.problem().code.as_str()),
        (3, code),
        "{}",
        run.story()
    );
    assert!(!run.stages().contains(&"health check"), "{}", run.story());
    says_no_secret(run);
    run.problem().hint.as_deref().unwrap_or_default()
}

#[test]
fn registry_with_a_password() {
    let host = Host::new();
    let (_images, registry, image) = in_a_registry(&host);
    let origin = host.origin(&server("one"));
    let deploy = |image: &str| host.deploy(&origin).args(&["--image", image]);

    let hint = format!("`docker login {}`", registry.host());
    let run = deploy(&image).run();
    assert!(
        refused(&run, "registry_denied").contains(&hint),
        "{}",
        run.story()
    );
    log_in(&host, &registry.host(), "sesame");
    let run = deploy(&image).run();
    assert!(
        refused(&run, "registry_denied").contains(&hint),
        "{}",
        run.story()
    );
    log_in(&host, &format!("http://{}/v1/", registry.host()), PASSWORD);
    let run = deploy(&format!("{image}-none")).run();
    assert!(
        refused(&run, "image_missing").contains("the tag"),
        "{}",
        run.story()
    );
    let run = deploy(&format!("{}/{}", registry.host(), "nobody/none")).run();
    refused(&run, "image_missing");
    let nobody = format!("127.0.0.1:{}/x:1", free_port());
    let run = deploy(&nobody).run();
    assert!(
        refused(&run, "registry_unreachable").contains("curl"),
        "{}",
        run.story()
    );

    let run = deploy(&image).run().exited(0);
    says_no_secret(&run);
    assert_eq!(host.answer(), "one");
}

/// The helper is asked about the registry, and about nothing else.
#[test]
fn credential_helper() {
    let host = Host::new();
    let (_images, registry, image) = in_a_registry(&host);
    let origin = host.origin(&server("one"));
    let config = format!(
        r#"{{"credsStore": "none", "credHelpers": {{"{}": "sdp-test"}}, "auths": {{"{0}": {{}}}}}}"#,
        registry.host()
    );
    configure(&host, &config);
    let deploy = |helper: &str| {
        let path = host.instead_of("docker-credential-sdp-test", helper);
        let deploy = host.deploy(&origin).env("PATH", &path);
        deploy.args(&["--image", &image]).run()
    };

    let run = host.deploy(&origin).args(&["--image", &image]).run();
    refused(&run, "registry_denied");
    let detail = run.problem().detail.join("\n");
    assert!(
        detail.contains("no `docker-credential-sdp-test` in PATH"),
        "{detail}"
    );
    let run = deploy(&format!(
        "echo 'broken {PASSWORD}'; echo '{PASSWORD}' >&2; exit 1"
    ));
    refused(&run, "registry_denied");
    let detail = run.problem().detail.join("\n");
    assert!(detail.contains("ended with exit code 1"), "{detail}");
    let run = deploy("echo credentials not found in native keychain; exit 1");
    refused(&run, "registry_denied");
    assert_eq!(run.problem().detail.len(), 1, "{}", run.story());

    // One that thinks for ever ends with sdp.
    let asked = host.path("asked");
    let path = format!("echo > {}; sleep 3600; :", asked.display());
    let path = host.instead_of("docker-credential-sdp-test", &path);
    let deploy_on = host.deploy(&origin).env("PATH", &path);
    let live = deploy_on.args(&["--image", &image]).spawn();
    eventually("the helper is asked", || asked.exists().then_some(()));
    live.interrupt();
    live.finish().exited(130);
    host.is_tidy();

    let helper = format!(
        r#"cat > {}; echo "$@" >> {0}; echo '{{"ServerURL": "x", "Username": "{USER}", "Secret": "{PASSWORD}"}}'"#,
        asked.display()
    );
    let run = deploy(&helper);
    says_no_secret(&run);
    run.exited(0);
    assert_eq!(
        fs::read_to_string(asked).unwrap(),
        format!("{}get\n", registry.host())
    );
}

/// One that does not answer is not waited for without end, and nothing of it stays.
#[test]
fn credential_helper_that_hangs() {
    let host = Host::new();
    let (_images, registry, image) = in_a_registry(&host);
    let origin = host.origin(&server("one"));
    let config = format!(
        r#"{{"credHelpers": {{"{}": "sdp-test"}}}}"#,
        registry.host()
    );
    configure(&host, &config);
    let hang = host.instead_of("docker-credential-sdp-test", "sleep 3600; :");

    let deploy = host.deploy(&origin).env("PATH", &hang);
    let run = deploy.args(&["--image", &image]).run();

    refused(&run, "registry_denied");
    let detail = run.problem().detail.join("\n");
    let told = "`docker-credential-sdp-test` could not be asked: no answer within 30s";
    assert!(detail.contains(told), "{detail}");
    let left = host.processes("sleep 3600");
    assert!(left.is_empty(), "{left:?}");
    host.is_tidy();
}

#[test]
fn tags_that_move_and_digests_that_do_not() {
    let host = Host::new();
    let images = Images::of(&host);
    let registry = Registry::start(&host);
    let origin = host.origin(&server("one"));
    let name = format!("{}/{}", registry.host(), host.name());
    let image = format!("{name}:1");
    let publish = |content: &str| {
        let content = format!("{} {content}", host.name());
        images.load(archive(&image, HERE, content.as_bytes()));
        registry.push(&images, &image);
        let digests = images.digests(&image).unwrap();
        let ours = digests.iter().find(|digest| digest.starts_with(&name));
        ours.unwrap().clone()
    };
    log_in(&host, &registry.host(), PASSWORD);
    let deploy = |image: &str, pull: &str| {
        let arguments = ["--image", image, "--pull", pull, "--if-changed"];
        host.deploy(&origin).args(&arguments).run().exited(0)
    };
    let outcome = |run: &Run| run.status().outcome.clone().unwrap();
    let serves = |digest: &str| {
        let id = host.running().inspect.image.unwrap();
        let digests = images.digests(&id).unwrap();
        assert!(digests.contains(&digest.to_owned()), "{digests:?}");
    };

    let second = publish("second");
    let first = publish("first");
    deploy(&image, "missing");
    serves(&first);
    // Somebody else moves the tag.
    images.load(archive(
        &image,
        HERE,
        format!("{} second", host.name()).as_bytes(),
    ));
    registry.push(&images, &image);
    images.load(archive(
        &image,
        HERE,
        format!("{} first", host.name()).as_bytes(),
    ));
    assert_eq!(outcome(&deploy(&image, "missing")), "unchanged");
    assert_eq!(outcome(&deploy(&image, "always")), "deployed");
    serves(&second);

    // A digest is what the registry has under it, whatever the tag is now.
    let (_, digest) = first.split_once('@').unwrap();
    images.forget();
    assert_eq!(outcome(&deploy(&first, "missing")), "deployed");
    serves(&first);
    let both = format!("{image}@{digest}");
    deploy(&both, "always");
    serves(&first);
    assert_eq!(outcome(&deploy(&both, "missing")), "unchanged");
    let shown = host.sdp(&["status", host.name()]).run().exited(0);
    assert!(shown.stdout.contains("running"), "{shown:?}");

    let short = format!("{name}@{}", &digest[..20]);
    let run = host.deploy(&origin).args(&["--image", &short]).run();
    assert_eq!((run.code, run.problem().code.as_str()), (2, "usage"));
}

#[test]
fn image_of_another_platform() {
    let host = Host::new();
    let _images = Images::of(&host);
    let origin = host.origin(&server("one"));
    let image = format!("{}:1", host.name());
    let file = host.path("image.tar");
    let foreign = archive(&image, ELSEWHERE, host.name().as_bytes());
    fs::write(&file, &foreign).unwrap();
    let deploy = || host.deploy(&origin).args(&["--image", &image]);

    // Loaded for this deployment: nothing is built or started.
    let run = deploy()
        .args(&["--image-archive", file.to_str().unwrap()])
        .run();
    let hint = refused(&run, "wrong_image");
    assert!(hint.contains("--pull always"), "{hint}");
    let wanted = format!("is for linux/{ELSEWHERE}, and the engine is linux/{HERE}");
    assert!(run.problem().message.contains(&wanted), "{}", run.story());
    fs::remove_dir_all(host.checkout()).unwrap();
    // There before: nothing is touched at all.
    for arguments in [&[][..], &["--dry-run"]] {
        let run = deploy().args(arguments).run();
        refused(&run, "wrong_image");
        assert_eq!(run.stages(), [""; 0]);
        host.is_untouched();
    }
}

#[test]
fn image_in_a_file() {
    let host = Host::new();
    let images = Images::of(&host);
    let origin = host.origin(&server("one"));
    let image = format!("{}:1", host.name());
    let file = host.path("image.tar");
    let file = file.to_str().unwrap();
    let write = |content: &str| {
        let archive = archive(
            &image,
            HERE,
            format!("{} {content}", host.name()).as_bytes(),
        );
        fs::write(file, &archive).unwrap();
        archive
    };
    write("first");
    let deploy = |image: &str, arguments: &[&str]| {
        let deploy = host.deploy(&origin).args(&["--image", image]);
        deploy
            .args(&["--image-archive", file])
            .args(arguments)
            .run()
    };

    // Another image than the one that is wanted is not loaded.
    let run = deploy(&format!("{image}1"), &[]);
    assert_eq!(
        (run.code, run.problem().code.as_str()),
        (2, "usage"),
        "{}",
        run.story()
    );
    assert_eq!(run.problem().detail, [image.as_str()]);
    assert_eq!(images.digests(&image), None);
    host.is_untouched();

    deploy(&image, &["--pull", "never"]).deployed(FIRST);
    let first = host.running().inspect.image;
    let packed = write("second");
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&packed).unwrap();
    fs::write(file, gzip.finish().unwrap()).unwrap();
    // What is there is not loaded again, unless it is asked for.
    deploy(&image, &[]).deployed(NEXT);
    assert_eq!(host.running().inspect.image, first);
    deploy(&format!("docker.io/library/{image}"), &["--pull", "always"]).deployed(NEXT);
    assert_ne!(host.running().inspect.image, first);
    assert_eq!(host.answer(), "one");

    // The list of an OCI layout, whose image this engine need not be able to load.
    images.forget();
    let index = format!(
        r#"{{"schemaVersion": 2, "manifests": [{{"digest": "sha256:0", "annotations":
           {{"io.containerd.image.name": "docker.io/library/{image}"}}}}]}}"#
    );
    let mut layout = tar::Builder::new(Vec::new());
    add(
        &mut layout,
        "oci-layout",
        br#"{"imageLayoutVersion": "1.0.0"}"#,
    );
    add(&mut layout, "index.json", index.as_bytes());
    fs::write(file, layout.into_inner().unwrap()).unwrap();
    let run = deploy(&image, &[]);
    assert!(
        refused(&run, "image_missing").contains("docker load"),
        "{}",
        run.story()
    );
    fs::write(file, "no archive").unwrap();
    let run = deploy(&image, &[]).exited(2);
    assert!(
        run.problem()
            .hint
            .as_deref()
            .unwrap()
            .contains("docker save"),
        "{}",
        run.story()
    );
    let pinned = format!("{image}@sha256:{}", "0".repeat(64));
    let run = deploy(&pinned, &[]).exited(2);
    assert!(
        run.problem().message.contains("not by digest"),
        "{}",
        run.story()
    );
}

/// How much has come is told while it is waited for.
#[test]
fn slow_registry() {
    let host = Host::new();
    let images = Images::of(&host);
    let registry = Registry::start(&host);
    let origin = host.origin(&server("one"));
    let line = registry.slowly(1024 * 1024);
    // Bytes that do not shrink.
    let mut noise = host.name().as_bytes().to_vec();
    let mut state = 1_u64;
    while noise.len() < 4 * 1024 * 1024 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        noise.extend(&state.to_le_bytes()[4..]);
    }
    let image = format!("{}/{}:1", registry.host(), host.name());
    images.load(archive(&image, HERE, &noise));
    registry.push(&images, &image);
    images.forget();
    let far = image.replace(&registry.host(), &line.address().to_string());
    log_in(&host, &line.address().to_string(), PASSWORD);

    let run = host
        .deploy(&origin)
        .args(&["--image", &far])
        .run()
        .deployed(FIRST);
    let is_of_start = |event: &&crate::support::Event| event.stage == "start container";
    let updates = run.events.iter().filter(is_of_start);
    let amounts: Vec<(u64, u64)> = updates
        .filter(|event| event.phase == Some(Phase::Update))
        .filter_map(|event| Some((event.done?, event.total?)))
        .collect();
    assert!(amounts.len() > 2, "{}", run.story());
    assert!(amounts.is_sorted() && amounts.iter().all(|(_, total)| *total > 4 << 20));
    assert!(
        run.remarks("start container")
            .contains(&"0 of 1 layers of the image")
    );
}

/// The wait for a registry that says nothing is told of, and can be ended.
#[test]
fn silent_registry() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let registry = Server::silent();
    let image = registry.url("http");
    let image = image.strip_prefix("http://").unwrap();
    let mut live = host.deploy(&origin).args(&["--image", image]).spawn();
    live.wait_for("the silence is told of", |event| {
        event.kind == Kind::Warning && event.line.starts_with("nothing has come of the image")
    });
    live.interrupt();
    live.finish().exited(130);
    host.holds(&[], &[]);
}
