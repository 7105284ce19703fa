//! Generates the code of the `.proto` files anew, where it is committed.

#[path = "../generator/mod.rs"]
mod generator;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = generator::committed();
    generator::generate(&folder)?;
    eprintln!("wrote {} in {} (`{}`)", generator::FILES.join(" and "), folder.display(), generator::COMMAND);
    Ok(())
}
